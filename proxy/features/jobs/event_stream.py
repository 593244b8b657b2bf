"""/v1/jobs/{id}/events: a job as server-sent events, until its end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import AbstractContextManager, aclosing, contextmanager

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from proxy.api.admin_tools import AdminTools
from proxy.errors import NotFound, RateLimited
from proxy.features.jobs.core.bodies import ShownJob
from proxy.features.jobs.core.kind import JobKinds
from proxy.features.jobs.core.records import JOBS, Job
from proxy.features.jobs.endpoints import JobResource
from proxy.http.connection import Connection
from proxy.http.endpoint import Header
from proxy.http.replies import encode_json
from proxy.http.resource import endpoint

MOST_OF_ACCOUNT = 32
"""Each stream reads its job every second, for as long as the job lasts."""

_LAST_EVENT = Header("Last-Event-ID", "The `id` of the last event that was seen.", "^[0-9]{1,9}$")
_LOOK_S = 1.0
_RETRY_S = 5.0


class EventStreams:
    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<EventStreams, {self._open.total()} of {len(self._open)} accounts>"

    @contextmanager
    def place(self, account: str) -> Iterator[None]:
        """Count a stream of an account until the block ends. Raises RateLimited."""
        if self._open[account] >= MOST_OF_ACCOUNT:
            raise RateLimited(
                f"Your account has {MOST_OF_ACCOUNT} streams of events open, which is the most.",
                code="too_many_event_streams",
                retry_after_s=_RETRY_S,
            )
        self._open[account] += 1
        try:
            yield
        finally:
            self._open[account] -= 1
            if not self._open[account]:
                del self._open[account]


class JobEvents(JobResource):
    def __init__(self, kinds: JobKinds, tools: AdminTools, streams: EventStreams) -> None:
        super().__init__(kinds, tools)
        self._streams = streams

    @endpoint(
        "GET",
        "/v1/jobs/{id}/events",
        media=("text/event-stream",),
        failures=(NotFound, RateLimited),
        request_headers=(_LAST_EVENT,),
    )
    async def get_job_events(self, request: Request) -> Response:
        """The job as an event whenever it has come further, until its end"""
        job = await self.found(request)
        seen = request.headers.get("last-event-id", "")
        place = self._streams.place(job.account)
        return _Events(self._looks(job), int(seen) if seen.isdecimal() and len(seen) < 10 else -1, place)

    async def _looks(self, job: Job) -> AsyncGenerator[ShownJob, None]:
        while True:
            yield await self._kinds.shown_one(job)
            if job.state != "open":
                return
            await asyncio.sleep(_LOOK_S)
            if (found := await JOBS.get(self._store, job.account, job.id)) is None:
                return
            job = found


def _progress(job: ShownJob) -> int:
    """Return the progress of a job. It only grows, except that a training may return to its last
    checkpoint."""
    return job.steps_done if job.training is None else job.training.step


class _Events(Response):
    """Server-sent events of a job. Their ids grow with it, so a client that reconnects misses nothing."""

    media_type = "text/event-stream"

    def __init__(
        self, looks: AsyncGenerator[ShownJob, None], seen: int, place: AbstractContextManager[None]
    ) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._looks = looks
        self._seen = seen
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection, before = Connection(scope, receive, send), None
        with self._place, connection.stop_when_client_leaves():
            connection.set_head(self.status_code, self.raw_headers)
            await connection.send(b": follow\n\n")
            async with aclosing(self._looks) as looks:
                async for job in looks:
                    # The end is one step further than the last one.
                    number = _progress(job) + (job.ended is not None)
                    if job != before and (number > self._seen or job.ended is None):
                        await connection.send(b"id: %d\ndata: %b\n\n" % (number, encode_json(job)))
                    before = job
                    if scope["method"] == "HEAD":
                        break
                    if connection.is_hurried:
                        # A client of events reconnects by itself, and an open job may go on for days.
                        break
            await connection.end(b"")
