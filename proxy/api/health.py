"""GET /healthz (the process answers) and /readyz (it can serve, and what is degraded)."""

from __future__ import annotations

import asyncio
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from proxy.access.limits import Limits
from proxy.api.readiness import DegradedPart, Dependencies
from proxy.errors import LimitsUnavailable, RequestFailed
from proxy.http.endpoint import Endpoint, json
from proxy.http.replies import reply
from proxy.storage.store import StorageFailed, Store

_STORE_S = 2.0


class Liveness(msgspec.Struct, frozen=True):
    status: Literal["ok"] = "ok"


class Readiness(msgspec.Struct, frozen=True):
    status: Literal["ready", "unready"]
    reasons: list[str]
    degraded: list[DegradedPart]


class ServerState:
    """What the supervisor tells a worker of the server as a whole."""

    def __init__(self) -> None:
        self.is_draining = False
        self.given_up: dict[int, str] = {}

    def __repr__(self) -> str:
        state = " draining," if self.is_draining else ""
        return f"<ServerState{state} {len(self.given_up)} workers given up>"


class HealthEndpoints:
    def __init__(
        self,
        store: Store,
        limits: Limits,
        dependencies: Dependencies,
        default_model: str,
        server_state: ServerState,
    ) -> None:
        self._store = store
        self._limits = limits
        self._dependencies = dependencies
        self._default_model = default_model
        self._server_state = server_state

    async def live(self, _request: Request) -> Response:
        return reply(Liveness())

    async def ready(self, _request: Request) -> Response:
        storage, limits = await asyncio.gather(self._storage(), self._counts())
        reasons = [reason for reason in (self._draining(), storage, limits, self._model()) if reason]
        degraded = [*await self._dependencies.degraded(), *self._given_up()]
        readiness = Readiness("unready" if reasons else "ready", reasons, degraded)
        return reply(readiness, 503 if reasons else 200)

    def _draining(self) -> str:
        return "draining: the server is shutting down" if self._server_state.is_draining else ""

    async def _storage(self) -> str:
        try:
            async with asyncio.timeout(_STORE_S):
                await self._store.read("SELECT 1 AS one", {})
        except (StorageFailed, TimeoutError):
            return "storage: the database does not answer"
        return ""

    async def _counts(self) -> str:
        try:
            await self._limits.check()
        except LimitsUnavailable:
            return "limits: requests cannot be counted"
        return ""

    def _model(self) -> str:
        try:
            models = self._dependencies.catalogue.resolve_model(self._default_model)
        except RequestFailed as failure:
            return f"default_model {self._default_model}: {failure.message}"
        if any(self._dependencies.engines[model.engine].state == "ready" for model in models):
            return ""
        return f"default_model {self._default_model}: none of its engines is ready"

    def _given_up(self) -> list[DegradedPart]:
        return [
            DegradedPart(worker=number, state="failed", reason=reason)
            for number, reason in self._server_state.given_up.items()
        ]


def routes(health: HealthEndpoints) -> list[Endpoint]:
    return [
        Endpoint(
            "GET",
            "/healthz",
            health.live,
            "is_live",
            "200 while the process answers",
            json(Liveness),
            access="open",
        ),
        Endpoint(
            "GET",
            "/readyz",
            health.ready,
            "is_ready",
            "200 when it can serve, else 503",
            json(Readiness),
            access="open",
            unready=Readiness,
        ),
    ]
