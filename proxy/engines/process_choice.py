"""The choice of a process for a job, among the processes of one engine.

An engine that speaks one job a process would be full of one account's long texts, and everybody else would
wait for the shortest of them to end. So while several accounts speak, a job waits a moment for a place in the
processes of its account, before it takes the last one: the others mostly find one in which only they wait.
After that moment it takes any, since no job may fail while a process is idle.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection
from typing import Protocol, TypeVar

OTHERS_S = 2.0
"""How long an account counts as one that speaks, after its last job has come."""

PATIENCE_S = 3.0
"""How long a job waits for a place in the processes of its account."""


class Process(Protocol):
    """A process with its running jobs, and how many of them are of each tenant."""

    @property
    def running(self) -> int: ...

    @property
    def tenants(self) -> Counter[str]: ...


P = TypeVar("P", bound=Process)


class ProcessChoice:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # The two tenants that came last, and when.
        self._last, self._last_at = "", -OTHERS_S
        self._other_at = -OTHERS_S

    def note(self, tenant: str) -> None:
        """Note that a job of this tenant has come."""
        if tenant != self._last:
            self._last, self._other_at = tenant, self._last_at
        self._last_at = self._clock()

    def choose(self, processes: Collection[P], tenant: str, slots: int, *, is_patient: bool) -> P | None:
        """Return the process for a job of this tenant: the least busy one, unless that is for the others.

        Each process has so many slots, and there must be a process. None means that a patient job waits
        until one of the jobs has ended.
        """
        least = min(processes, key=_running)
        taken = [process for process in processes if process.tenants[tenant]]
        if not taken or len(taken) != len(processes) - 1:
            return least
        if tenant == self._last and self._clock() - self._other_at >= OTHERS_S:
            return least
        own = min(taken, key=_running)
        if own.running < slots or own.running <= least.running:
            return own
        return None if is_patient else least


def _running(process: Process) -> int:
    return process.running
