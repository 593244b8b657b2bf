"""The fake as a whole: three servers over one account and one clock.

`jobs` is https://api.runpod.ai, `management` is https://api.runpod.io, and `proxy` stands for the addresses
of the pods: the pod `abc` answers below `/abc`. Faults are those of all fakes. The old APIs are gone: a
request for one of them is a 410, and `wrong_turns` has it, so that a test can fail.
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fakes.provider import Provider
from fakes.runpod.clock import Clock
from fakes.runpod.jobs_api import Desk, desk_routes, reply
from fakes.runpod.management import Management
from fakes.runpod.pods import Fleet
from fakes.runpod.queue import JobQueue
from fakes.runpod.webhooks import Webhooks
from fakes.runpod.working import Handler, echo

KEY = "fake-runpod-key"
ENDPOINT = "ep1voxgate"
TOKEN_VARIABLE = "VOXGATE_TOKEN"
"""The environment variable of a pod with the token that its callers must send."""


class FakeRunpod:
    """The fake. Each endpoint is a queue. Endpoints and pods work with `handler`."""

    def __init__(
        self,
        handler: Handler = echo,
        *,
        key: str = KEY,
        clock: Clock | None = None,
        endpoints: Mapping[str, Desk] = MappingProxyType({}),
    ) -> None:
        self.clock = clock or Clock()
        self.fleet = Fleet(self.clock, handler)
        self.webhooks = Webhooks(self.clock)
        self.desks = dict(endpoints) or {ENDPOINT: Desk(JobQueue(self.clock, handler))}
        for desk in self.desks.values():
            desk.queue.finishing = self.webhooks.tell
        self.account = Management(self.fleet, self.clock, key)
        self.wrong_turns: list[str] = []
        self._key = key
        gone = [Route("/{path:path}", self._gone, methods=["GET", "POST", "PATCH", "PUT", "DELETE"])]
        self.jobs = Provider(Starlette(routes=desk_routes("/v2/{endpoint}", self._desk) + gone), "/run")
        self.management = Provider(Starlette(routes=self.account.routes() + gone), "/pods")
        self.proxy = Provider(Starlette(routes=desk_routes("/{pod}", self._pod_desk)), "/run")

    def __repr__(self) -> str:
        return f"<FakeRunpod {list(self.desks.values())!r}, {self.fleet!r}>"

    @property
    def spent_usd(self) -> float:
        return self.fleet.spent_usd + sum(desk.queue.spent_usd for desk in self.desks.values())

    @property
    def starts(self) -> list[tuple[str, dict[str, Any]]]:
        """Each time that a handler has begun: the job's id and its input."""
        return [start for desk in self.desks.values() for start in desk.queue.starts] + self.fleet.starts

    @asynccontextmanager
    async def ended(self) -> AsyncIterator[FakeRunpod]:
        """End all work at the block's end. Raise AssertionError if a request went to a retired API."""
        try:
            yield self
        finally:
            await self.webhooks.close()
            await self.fleet.close()
            for desk in self.desks.values():
                await desk.queue.close()
        assert not self.wrong_turns, self.wrong_turns

    def _desk(self, request: Request) -> Desk | Response:
        if request.headers.get("authorization") != f"Bearer {self._key}":
            return reply({"error": "unauthorized"}, 401)
        desk = self.desks.get(request.path_params["endpoint"])
        return desk or reply({"error": "endpoint not found"}, 404)

    def _pod_desk(self, request: Request) -> Desk | Response:
        pod = self.fleet.get(request.path_params["pod"])
        if pod is None or pod.status(self.clock()) != "RUNNING":
            # The proxy's answer for a pod that does not serve.
            return Response("<html>", 404 if pod is None else 502, media_type="text/html")
        token = pod.order.env.get(TOKEN_VARIABLE, "")
        wanted = f"Bearer {token}"
        if not token or not hmac.compare_digest(request.headers.get("authorization", ""), wanted):
            return reply({"error": "unauthorized"}, 401)
        return pod.desk

    async def _gone(self, request: Request) -> Response:
        path = request.url.path
        if path.startswith(("/graphql", "/v1")):
            self.wrong_turns.append(f"{request.method} {path}")
            return reply({"error": "this API is at its end"}, 410)
        return reply({"error": "not found"}, 404)
