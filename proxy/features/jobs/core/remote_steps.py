"""Limits the steps of one worker that run on rented machines, apart from the local steps. The plan of a step
tells whether it is remote. Before the step is planned, the last planned step of its job tells it."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Set

from cachetools import LRUCache

from proxy.errors import NoPlace
from proxy.features.jobs.core.records import JobStep
from proxy.speech.planning import SpeechPlan
from proxy.storage.rows import in_list
from proxy.storage.store import Condition, Value

_REMOTE = "elsewhere"
_MOST_JOBS = 256
_MOST_VALUES = 4096
"""The most values of a condition: databases limit the number of parameters."""


class RemoteStepLimiter:
    """The limits of remote steps: `at_once` in all, and half of them for one account. A step that was planned
    has its place until `note_end`."""

    def __init__(self) -> None:
        self.at_once = 16
        self.of_account = 8
        self._accounts_by_job: LRUCache[str, str] = LRUCache(_MOST_JOBS)
        self._is_remote_by_step: dict[str, bool] = {}

    def limits_of(self, step: JobStep) -> dict[Hashable, int]:
        """Return the limits of a remote step, by name. {}: the step is not remote."""
        if not self._is_remote_by_step.get(step.id, step.job in self._accounts_by_job):
            return {}
        return {_REMOTE: self.at_once, (_REMOTE, step.account): self.of_account}

    def limited_jobs(self, full: Set[Hashable]) -> set[str]:
        """Return the remote jobs whose next step cannot begin, since one of its limits is `full`."""
        return {job for job, account in self._accounts_by_job.items() if full & {_REMOTE, (_REMOTE, account)}}

    def note_plan(self, step: JobStep, *, is_remote: bool) -> None:
        """Note whether a planned step is remote. Raises NoPlace if too many steps are remote: then the step
        waits for a place among the remote steps, as its job is noted as remote."""
        if not is_remote:
            self._accounts_by_job.pop(step.job, None)
        else:
            self._accounts_by_job[step.job] = step.account
            if sum(self._is_remote_by_step.values()) >= self.at_once:
                raise NoPlace("steps on rented machines")
        self._is_remote_by_step[step.id] = is_remote

    def note_end(self, step: JobStep) -> None:
        self._is_remote_by_step.pop(step.id, None)


def is_remote(plan: SpeechPlan) -> bool:
    """Tell whether the first candidate of some part is an engine on rented machines."""
    return any(part.candidates and part.candidates[0].model.info.runner for part in plan.parts)


def not_in_condition(values_by_column: Mapping[str, Collection[str]]) -> Condition:
    """Return the condition that no column has one of its values. Of more than `_MOST_VALUES` values, the
    first ones count."""
    only_if, params = [], dict[str, Value]()
    for column, values in values_by_column.items():
        if values:
            names, of_column = in_list(sorted(values)[:_MOST_VALUES], column)
            only_if.append(f"{column} NOT IN ({names})")
            params |= of_column
    return Condition(" AND ".join(only_if) or "1 = 1", params)
