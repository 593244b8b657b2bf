"""A host's slots in simulated time, over the order that real hosts keep: whom it serves, and when."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

from speech_engine.host.fair import FairOrder, Ticket


class Job(Ticket):
    """`real_s` is what it makes in truth, whatever it was estimated at."""

    def __init__(
        self, tenant: str, real_s: float, estimated_s: float | None = None, share: float = 1.0
    ) -> None:
        super().__init__(tenant, real_s if estimated_s is None else estimated_s, share)
        self.real_s = real_s
        self.came_at = 0.0
        self.began_at = -1.0
        self.ended_at = -1.0


def counted(order: FairOrder[Job], job: Job) -> None:
    order.note_made(job, job.real_s)
    order.end(job, job.made_s)


def not_counted(order: FairOrder[Job], job: Job) -> None:
    order.end(job, 0.0)


class SimulatedHost:
    """Each slot makes one second of audio a second. `ends` is how a job that is over is accounted for."""

    def __init__(self, slots: int, ends: Callable[[FairOrder[Job], Job], None] = counted) -> None:
        self.slots = slots
        self.now = 0.0
        self.order: FairOrder[Job] = FairOrder()
        self.begun: list[Job] = []
        self.ended: list[Job] = []
        self._ends = ends
        self._running: list[tuple[float, int, Job]] = []
        self._numbers = itertools.count()

    def __repr__(self) -> str:
        return f"<SimulatedHost at {self.now:g} s: {len(self._running)} running, {self.order!r}>"

    @property
    def running(self) -> list[Job]:
        return [job for _, _, job in self._running]

    def comes(self, job: Job) -> Job:
        job.came_at = self.now
        self.order.push(job)
        self._let_in()
        return job

    def run(self, until_s: float) -> None:
        """Lets jobs end and others begin until then, or until there is nothing left to do."""
        while self._running and self._running[0][0] <= until_s:
            self.step()
        self.now = max(self.now, until_s)

    def step(self) -> None:
        """Lets the next job end."""
        self.now, _, job = heapq.heappop(self._running)
        job.ended_at = self.now
        self.ended.append(job)
        self._ends(self.order, job)
        self._let_in()

    def _let_in(self) -> None:
        while len(self._running) < self.slots and self.order.waiting:
            job = self.order.pop()
            job.began_at = self.now
            self.begun.append(job)
            heapq.heappush(self._running, (self.now + job.real_s, next(self._numbers), job))
