"""The jobs API of a queue over HTTP. An endpoint has it, and so has a pod of ours.

A fault named `error_in_200` has a code: `vanish` forgets the job, `unknown_state` answers with an unknown
state, `not_json` with a body that is not JSON.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fakes.faults import ScriptedFault, scripted
from fakes.runpod.queue import JobQueue, Order, QueuedJob
from fakes.runpod.rates import JOBS_RATES, JOBS_WINDOW_S, Window

MOST_RUN_BYTES = 10_000_000
MOST_RUNSYNC_BYTES = 20_000_000
_SYNC_RETENTION_S = 60.0
_WAITED_RETENTION_S = 300.0
_USUAL_WAIT_MS = 90_000

Find = Callable[[Request], "Desk | Response"]
"""Finds the desk that a path is meant for, or refuses."""


class Desk:
    """A queue with its counts. `stream_shape` is that of the SDK or that of the documentation's page.

    If it knows `keys`, the id of a job is the `key` in its input, which is begun once.
    """

    def __init__(
        self,
        queue: JobQueue,
        *,
        stream_shape: Literal["object", "array"] = "object",
        has_rates: bool = True,
        keys: bool = False,
    ) -> None:
        self.queue = queue
        self.stream_shape = stream_shape
        self.keys = keys
        rates = JOBS_RATES if has_rates else {}
        self._windows = {op: Window(queue.clock, most, JOBS_WINDOW_S) for op, most in rates.items()}

    def __repr__(self) -> str:
        return f"<Desk {self.queue!r}>"

    def is_over_rate(self, op: str) -> bool:
        return op in self._windows and self._windows[op].count().is_over

    async def run(self, request: Request) -> Response:
        order = await _order(request, MOST_RUN_BYTES)
        if isinstance(order, Response):
            return order
        key = str(order.input.get("key", "")) if self.keys else ""
        known = self.queue.get(key) if key else None
        job = known or self.queue.submit(order, id_=key)
        return reply({"id": job.id, "status": job.status if known else "IN_QUEUE"})

    async def runsync(self, request: Request) -> Response:
        wait = request.query_params.get("wait")
        wait_ms = int(wait) if wait and wait.isdigit() else _USUAL_WAIT_MS
        if not 1000 <= wait_ms <= 300_000:
            return reply({"error": "wait must be between 1000 and 300000"}, 400)
        order = await _order(request, MOST_RUNSYNC_BYTES)
        if isinstance(order, Response):
            return order
        job = self.queue.submit(order, _WAITED_RETENTION_S if wait else _SYNC_RETENTION_S)
        clock = self.queue.clock
        waited = clock.until(clock() + wait_ms / 1000)
        races = [asyncio.ensure_future(each) for each in (job.over.wait(), waited)]
        try:
            await asyncio.wait(races, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for race in races:
                race.cancel()
        return reply(job.described(clock()))

    async def status(self, request: Request) -> Response:
        job, fault = self._job(request), scripted(request.scope)
        if job is None:
            return _unknown()
        ttl = request.query_params.get("ttl", "")
        if ttl.isdigit():
            self.queue.keep_for(job, int(ttl) / 1000)
        described = job.described(self.queue.clock())
        if fault is not None and fault.code == "unknown_state":
            described = {"id": job.id, "status": "HIBERNATING"}
        return reply(described)

    async def stream(self, request: Request) -> Response:
        job = self._job(request)
        if job is None:
            return _unknown()
        await asyncio.sleep(0)
        # The state is read first: output that comes after it is in the next poll.
        status, chunks = job.status, self.queue.next_chunks(job)
        if self.stream_shape == "array":
            return reply([{"metrics": {}, "output": chunk} for chunk in chunks])
        return reply({"status": status, "stream": [{"output": chunk} for chunk in chunks]})

    async def cancel(self, request: Request) -> Response:
        job = self._job(request)
        if job is None:
            return _unknown()
        self.queue.cancel(job)
        return reply({"id": job.id, "status": job.status})

    async def retry(self, request: Request) -> Response:
        job = self._job(request)
        if job is None:
            return _unknown()
        if not self.queue.retry(job):
            return reply({"error": "only a job that failed or timed out can be retried"}, 400)
        return reply({"id": job.id, "status": "IN_QUEUE"})

    async def purge(self, _request: Request) -> Response:
        return reply({"removed": self.queue.purge(), "status": "completed"})

    async def health(self, _request: Request) -> Response:
        return reply(self.queue.health())

    async def requests(self, _request: Request) -> Response:
        live = [job for id_ in list(self.queue.jobs) if (job := self.queue.get(id_))]
        return reply({"requests": [{"id": job.id, "status": job.status} for job in live]})

    def _job(self, request: Request) -> QueuedJob | None:
        job = self.queue.get(request.path_params["job"])
        fault = scripted(request.scope)
        if job is not None and fault is not None and fault.code == "vanish":
            self.queue.lose(job)
            return None
        return job


_OPS: dict[str, tuple[str, str, Callable[[Desk, Request], Awaitable[Response]]]] = {
    "run": ("POST", "run", Desk.run),
    "runsync": ("POST", "runsync", Desk.runsync),
    "status": ("GET", "status/{job}", Desk.status),
    "stream": ("GET", "stream/{job}", Desk.stream),
    "cancel": ("POST", "cancel/{job}", Desk.cancel),
    "retry": ("POST", "retry/{job}", Desk.retry),
    "purge-queue": ("POST", "purge-queue", Desk.purge),
    "health": ("GET", "health", Desk.health),
    "requests": ("GET", "requests", Desk.requests),
}


def desk_routes(root: str, find: Find) -> list[Route]:
    def route(op: str) -> Route:
        method, path, answer = _OPS[op]

        async def endpoint(request: Request) -> Response:
            desk, fault = find(request), scripted(request.scope)
            if isinstance(desk, Response):
                return desk
            if refused := refusal(fault):
                return refused
            if desk.is_over_rate(op):
                return reply({"error": "too many requests"}, 429)
            return await answer(desk, request)

        return Route(f"{root}/{path}", endpoint, methods=[method])

    return [route(op) for op in _OPS]


def refusal(fault: ScriptedFault | None) -> Response | None:
    """Return the answer of a fault that refuses before any work is done."""
    if fault is None:
        return None
    if fault.name in ("429", "5xx"):
        headers = {} if fault.retry_after is None else {"retry-after": fault.retry_after}
        return reply({"error": "not now"}, 429 if fault.name == "429" else fault.status, headers)
    if fault.code == "not_json":
        return Response("<html>", media_type="text/html")
    return None


def reply(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), status, headers, "application/json")


def _unknown() -> Response:
    return reply({"error": "job not found"}, 404)


async def _order(request: Request, most_bytes: int) -> Order | Response:
    body = await request.body()
    if len(body) > most_bytes:
        return reply({"error": "the body is too large"}, 413)
    try:
        order = msgspec.json.decode(body, type=Order)
    except msgspec.DecodeError as error:
        return reply({"error": str(error)}, 400)
    return order if order.input else reply({"error": "input is required"}, 400)
