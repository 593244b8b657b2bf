"""The choice of a process for a job, among the processes of one engine.

An engine that speaks one job a process would be full of one account's long texts, and everybody else would
wait for the shortest of them to end. So while several accounts speak, none has a job in every process: the
others find one in which only they wait. An account that is alone has all of them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection
from typing import Protocol, TypeVar

OTHERS_S = 10.0
"""How long an account counts as one that speaks, after its last job has begun."""


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

    def __repr__(self) -> str:
        return f"<ProcessChoice for {self._last or 'nobody'}>"

    def choose(self, processes: Collection[P], tenant: str) -> P:
        """Return the least busy process that this tenant may use. There must be one."""
        now = self._clock()
        if tenant != self._last:
            self._last, self._other_at = tenant, self._last_at
        self._last_at = now
        open_ = processes
        if len(processes) > 1 and now - self._other_at < OTHERS_S:
            taken = [process for process in processes if process.tenants[tenant]]
            if len(taken) == len(processes) - 1:
                open_ = taken
        return min(open_, key=lambda process: process.running)
