"""The choice of a process for a job, among the processes of one engine.

Without it, the long texts of one account could fill every process, and all other accounts would wait. While
several accounts speak, the last process free of an account's jobs is reserved for the other accounts: a job
waits a moment for a slot in the processes that its account uses already. Then it takes any process, since no
job may fail while a process is idle.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection
from hashlib import blake2b
from typing import Protocol, TypeVar

import msgspec

from speech_engine.work import Work, job_of

OTHERS_S = 2.0
"""After its last job, an account counts as speaking for this time."""

PATIENCE_S = 3.0
"""A job waits this long for a slot in the processes of its account."""


class Process(Protocol):
    """A process. `load` says how busy it is, and `tenants` counts the running jobs of each tenant. `place` is
    "" if it is on this machine."""

    @property
    def load(self) -> float: ...

    @property
    def tenants(self) -> Counter[str]: ...

    @property
    def place(self) -> str: ...


def jobs_of_another(all_jobs: int, own: int, sharers: int) -> float:
    """Return how many jobs another of the `sharers`, the workers that use a process, has there on average.

    If each worker counted the jobs of all others, all would turn to the same process.
    """
    return max(0, all_jobs - own) / (sharers - 1) if sharers > 1 else 0.0


P = TypeVar("P", bound=Process)


class ProcessChoice:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_tenant, self._last_job_at = "", -OTHERS_S
        self._other_tenants_job_at = -OTHERS_S

    def note(self, tenant: str) -> None:
        if tenant != self._last_tenant:
            self._last_tenant, self._other_tenants_job_at = tenant, self._last_job_at
        self._last_job_at = self._clock()

    def choose(
        self,
        processes: Collection[P],
        tenant: str,
        slots: int,
        *,
        is_patient: bool,
        voice: Callable[[], str] = str,
    ) -> P | None:
        """Return the least busy process. If it is the last one free of this tenant's jobs, and other tenants
        speak too, it is reserved for them, and the tenant's own least busy process is returned.

        If that one has no free slot, a patient job gets None, and waits until another job has ended. A job
        that is not patient gets the reserved process.

        Among equally busy processes on other machines, a `voice` always gets the same one, which may know it
        already. Each process has this many `slots`, and `processes` must not be empty.
        """
        least = min(processes, key=_load)
        if least.place:
            equal = [process for process in processes if process.load == least.load]
            least = equal[0] if len(equal) == 1 else _of_voice(equal, voice())
        serving = [process for process in processes if process.tenants[tenant]]
        if not serving or len(serving) != len(processes) - 1:
            return least
        if tenant == self._last_tenant and self._clock() - self._other_tenants_job_at >= OTHERS_S:
            return least
        own = min(serving, key=_load)
        if own.load < slots or own.load <= least.load:
            return own
        return None if is_patient else least


def voice_of(work: Work) -> str:
    """Return the voice of work in a form that is the same in all workers, "" if it has none."""
    job = job_of(work)
    return "" if job is None else str(msgspec.to_builtins(job.voice))


def _of_voice(processes: Collection[P], voice: str) -> P:
    return max(processes, key=lambda each: blake2b(f"{each.place} {voice}".encode(), digest_size=8).digest())


def _load(process: Process) -> float:
    return process.load
