"""A queue of jobs with its workers: an endpoint of the jobs API, or the container of a pod."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count
from typing import Annotated, Any

import msgspec

from fakes.runpod.clock import Clock
from fakes.runpod.working import Handler, echo, worked

RETENTION_S = 30 * 60.0
FINAL = frozenset({"COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"})
RETRIED = frozenset({"FAILED", "TIMED_OUT"})
_WEEK_MS = 7 * 24 * 3600 * 1000


class Policy(msgspec.Struct, frozen=True, rename="camel"):
    execution_timeout: Annotated[int, msgspec.Meta(ge=5_000, le=_WEEK_MS)] = 600_000
    ttl: Annotated[int, msgspec.Meta(ge=10_000, le=_WEEK_MS)] = 86_400_000
    low_priority: bool = False


class Order(msgspec.Struct, frozen=True, rename={"s3_config": "s3Config"}):
    """The body of /run and /runsync. Unknown fields pass, as they do at Runpod."""

    input: dict[str, Any]
    webhook: str | None = None
    policy: Policy = Policy()
    s3_config: dict[str, Any] | None = None


class QueuedJob(msgspec.Struct, eq=False):
    """One job. `handed` counts the chunks that /stream has given out."""

    id: str
    order: Order
    submitted: float
    retention_s: float
    status: str = "IN_QUEUE"
    began: float | None = None
    ended: float | None = None
    chunks: list[Any] = []
    handed: int = 0
    output: Any = None
    error: str | None = None
    is_gone: bool = False
    over: asyncio.Event = msgspec.field(default_factory=asyncio.Event)

    def __repr__(self) -> str:
        return f"<QueuedJob {self.id} {self.status}>"

    def described(self, now: float, status: str = "") -> dict[str, Any]:
        """Return the object that /status shows, in this state or its own."""
        began, ended, status = self.began, self.ended, status or self.status
        shown: dict[str, Any] = {"id": self.id, "status": status}
        if began is not None:
            shown["delayTime"] = round((began - self.submitted) * 1000)
            shown["executionTime"] = round(((now if ended is None else ended) - began) * 1000)
        if self.output is not None and status in FINAL:
            shown["output"] = self.output
        if self.error is not None and status in FINAL:
            shown["error"] = self.error
        return shown


class JobQueue:
    """`queue_s` and `run_s` are the least that each job waits and works, by the clock. `starts` has the id
    and the input of each time that the handler began. If it `aggregates`, the output has the streamed chunks.

    `finishing` is called before the final state of a job can be read.
    """

    def __init__(
        self,
        clock: Clock,
        handler: Handler = echo,
        *,
        workers: int = 3,
        queue_s: float = 0.0,
        run_s: float = 0.0,
        aggregates: bool = True,
        usd_per_second: float = 0.0,
    ) -> None:
        self.clock = clock
        self.handler = handler
        self.queue_s = queue_s
        self.run_s = run_s
        self.aggregates = aggregates
        self.usd_per_second = usd_per_second
        self.starts: list[tuple[str, dict[str, Any]]] = []
        self.jobs: dict[str, QueuedJob] = {}
        self.all: list[QueuedJob] = []
        self.finishing: Callable[[QueuedJob, dict[str, Any]], Awaitable[None]] | None = None
        self.retried = 0
        self._workers = workers
        self._free = asyncio.Semaphore(workers)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._numbers = count(1)

    def __repr__(self) -> str:
        return f"<JobQueue of {len(self.jobs)} jobs, {len(self.starts)} starts>"

    @property
    def spent_usd(self) -> float:
        """The cost of all work: each second from a job's begin to its end."""
        now = self.clock()
        spans = ((now if job.ended is None else job.ended) - job.began for job in self.all if job.began)
        return self.usd_per_second * sum(spans)

    def submit(self, order: Order, retention_s: float = RETENTION_S, id_: str = "") -> QueuedJob:
        job = QueuedJob(id_ or f"job-{next(self._numbers)}-u1", order, self.clock(), retention_s)
        self.jobs[job.id] = job
        self.all.append(job)
        self._begin(job)
        return job

    def get(self, id_: str) -> QueuedJob | None:
        job = self.jobs.get(id_)
        if job is not None and self._is_past(job):
            self.lose(job)
        return None if job is None or job.is_gone else job

    def lose(self, job: QueuedJob) -> None:
        job.is_gone = True
        self._stop(job)

    def keep_for(self, job: QueuedJob, ttl_s: float) -> None:
        job.retention_s = min(job.retention_s, ttl_s)

    def cancel(self, job: QueuedJob) -> None:
        if job.status not in FINAL:
            self._stop(job)
            job.status = "CANCELLED"

    def retry(self, job: QueuedJob) -> bool:
        if job.status not in RETRIED:
            return False
        job.status, job.began, job.ended, job.output, job.error = "IN_QUEUE", None, None, None, None
        job.chunks, job.handed = [], 0
        job.over.clear()
        self.retried += 1
        self._begin(job)
        return True

    def purge(self) -> int:
        pending = [job for job in self.jobs.values() if job.status == "IN_QUEUE" and not job.is_gone]
        for job in pending:
            self.cancel(job)
        return len(pending)

    def next_chunks(self, job: QueuedJob) -> list[Any]:
        """Return the chunks that were not returned before."""
        fresh = job.chunks[job.handed :]
        job.handed = len(job.chunks)
        return fresh

    def health(self) -> dict[str, Any]:
        states = [job.status for job in self.jobs.values() if not job.is_gone]
        busy = states.count("IN_PROGRESS")
        jobs = {
            "completed": states.count("COMPLETED"),
            "failed": states.count("FAILED"),
            "inProgress": busy,
            "inQueue": states.count("IN_QUEUE"),
            "retried": self.retried,
        }
        workers = {"idle": self._workers - busy, "running": busy, "initializing": 0, "throttled": 0}
        return {"jobs": jobs, "workers": workers}

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, job: QueuedJob) -> None:
        self._tasks[job.id] = asyncio.create_task(self._lived(job), name=f"fake runpod {job.id}")

    def _stop(self, job: QueuedJob) -> None:
        if task := self._tasks.get(job.id):
            task.cancel()
        if job.ended is None:
            job.ended = self.clock()
        job.over.set()

    def _is_past(self, job: QueuedJob) -> bool:
        now = self.clock()
        if now >= job.submitted + job.order.policy.ttl / 1000:
            return True
        return job.status in FINAL and job.ended is not None and now >= job.ended + job.retention_s

    async def _lived(self, job: QueuedJob) -> None:
        await self.clock.until(self.clock() + self.queue_s)
        async with self._free:
            if self._is_past(job):
                job.is_gone = True
                return
            job.status, job.began = "IN_PROGRESS", self.clock()
            self.starts.append((job.id, job.order.input))
            final = await self._outcome(job, job.began)
        if job.is_gone:
            return
        ended = self.clock()
        if self.finishing is not None:
            await self.finishing(job, job.described(ended, final))
        job.status, job.ended = final, ended
        job.over.set()

    async def _outcome(self, job: QueuedJob, began: float) -> str:
        policy = job.order.policy
        removal = job.submitted + policy.ttl / 1000
        end = min(began + policy.execution_timeout / 1000, removal)
        working = asyncio.create_task(self._work(job, began))
        waiting = asyncio.create_task(self.clock.until(end))
        try:
            await asyncio.wait((working, waiting), return_when=asyncio.FIRST_COMPLETED)
        finally:
            tasks = [task for task in (working, waiting) if not task.done()]
            for task in tasks:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks, return_exceptions=True)
        if working.done() and not working.cancelled():
            return working.result()
        if end == removal:
            job.is_gone, job.ended = True, end
        job.error = "the job ran longer than its executionTimeout"
        return "TIMED_OUT"

    async def _work(self, job: QueuedJob, began: float) -> str:
        try:
            async for output, is_part in worked(self.handler, {"id": job.id, "input": job.order.input}):
                if is_part:
                    job.chunks.append(output)
                else:
                    job.output = output
        except Exception as error:  # noqa: BLE001 - a worker fails with anything
            job.error = str(error)
        await self.clock.until(began + self.run_s)
        if job.error is None and job.chunks and self.aggregates:
            job.output = list(job.chunks)
        return "COMPLETED" if job.error is None else "FAILED"
