"""Limits the steps under way in one worker. Steps that wait for rented machines have places of their own. The
plan of a step decides which place it needs. Before the step is planned, the last planned step of its job
decides."""

from __future__ import annotations

from collections.abc import Collection, Hashable

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


class StepLimiter:
    """The places of steps on rented machines. An account may have half of them."""

    def __init__(self) -> None:
        self.at_once = 16
        self.of_account = 8
        # The account of each job that was remote when it was last planned.
        self._jobs: LRUCache[str, str] = LRUCache(_MOST_JOBS)
        self._planned: dict[str, bool] = {}

    def remote_places(self, step: JobStep) -> dict[Hashable, int]:
        """Return the places that a step takes among those for rented machines. {}: it is not remote."""
        if not self._planned.get(step.id, step.job in self._jobs):
            return {}
        return {_REMOTE: self.at_once, (_REMOTE, step.account): self.of_account}

    def waiting_jobs(self, full: Collection[Hashable]) -> set[str]:
        return {job for job, account in self._jobs.items() if _REMOTE in full or (_REMOTE, account) in full}

    def note_plan(self, step: JobStep, *, is_remote: bool) -> bool:
        """Note whether a planned step is remote, and return this. A remote step needs no local place. Raises
        NoPlace if too many steps are remote."""
        if not is_remote:
            self._jobs.pop(step.job, None)
        else:
            self._jobs[step.job] = step.account
            if sum(self._planned.values()) >= self.at_once:
                raise NoPlace("steps on rented machines")
        self._planned[step.id] = is_remote
        return is_remote

    def leave(self, step: JobStep) -> None:
        self._planned.pop(step.id, None)


def is_remote(plan: SpeechPlan) -> bool:
    """Tell whether the first candidate of some part is an engine on rented machines."""
    return any(part.candidates and part.candidates[0].model.info.runner for part in plan.parts)


def exclude_condition(**columns: Collection[str]) -> Condition:
    """Return the condition that no column has one of its values. Of more than `_MOST_VALUES` values, the
    first ones count."""
    only_if, params = [], dict[str, Value]()
    for column, values in columns.items():
        if values:
            names, of_column = in_list(sorted(values)[:_MOST_VALUES], column)
            only_if.append(f"{column} NOT IN ({names})")
            params |= of_column
    return Condition(" AND ".join(only_if) or "1 = 1", params)
