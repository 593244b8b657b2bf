"""GET /healthz (the process answers) and /readyz (it can serve, and what is degraded)."""

from __future__ import annotations

import asyncio
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proxy.catalogue import Catalogue
from proxy.endpoints.replies import reply
from proxy.engines.live import Engines
from proxy.engines.registry import Registry
from proxy.errors import LimitsUnavailable, RequestFailed
from proxy.limits import Limits
from proxy.storage.store import StorageFailed, Store

_STORE_S = 2.0


class Liveness(msgspec.Struct, frozen=True):
    status: Literal["ok"] = "ok"


class Degraded(msgspec.Struct, frozen=True, kw_only=True):
    """What others do without: an engine (with its state), a plugin (with the stage it failed at), a model
    or voice of the configuration that its engine does not know, or a worker that is given up."""

    engine: str | UnsetType = UNSET
    state: str | UnsetType = UNSET
    plugin: str | UnsetType = UNSET
    stage: str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    voice: str | UnsetType = UNSET
    worker: int | UnsetType = UNSET
    reason: str


class Readiness(msgspec.Struct, frozen=True):
    status: Literal["ready", "unready"]
    reasons: list[str]
    degraded: list[Degraded]


class Standing:
    """What the supervisor tells a worker of the server as a whole."""

    def __init__(self) -> None:
        self.is_draining = False
        self.given_up: dict[int, str] = {}

    def __repr__(self) -> str:
        return f"<Standing{' draining,' if self.is_draining else ''} {len(self.given_up)} workers given up>"


class Health:
    def __init__(
        self,
        store: Store,
        limits: Limits,
        catalogue: Catalogue,
        engines: Engines,
        registry: Registry,
        default_model: str,
        standing: Standing,
    ) -> None:
        self._store = store
        self._limits = limits
        self._catalogue = catalogue
        self._engines = engines
        self._registry = registry
        self._default_model = default_model
        self._standing = standing

    async def live(self, _request: Request) -> Response:
        return reply(Liveness())

    async def ready(self, _request: Request) -> Response:
        storage, limits = await asyncio.gather(self._storage(), self._counts())
        reasons = [reason for reason in (self._draining(), storage, limits, self._model()) if reason]
        readiness = Readiness("unready" if reasons else "ready", reasons, self._degraded())
        return reply(readiness, 503 if reasons else 200)

    def _draining(self) -> str:
        return "draining: the server is shutting down" if self._standing.is_draining else ""

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
            models = self._catalogue.resolve_model(self._default_model)
        except RequestFailed as failure:
            return f"default_model {self._default_model}: {failure.message}"
        if any(self._engines[model.engine].state == "ready" for model in models):
            return ""
        return f"default_model {self._default_model}: none of its engines is ready"

    def _degraded(self) -> list[Degraded]:
        engines = [
            Degraded(engine=name, state=engine.state, reason=engine.reason)
            for name, engine in self._engines.items()
            if engine.state != "ready"
        ]
        faults = self._registry.faults
        plugins = [Degraded(plugin=f.name, stage=f.stage, reason=f.reason) for f in faults]
        models = [Degraded(model=name, reason=reason) for name, reason in self._catalogue.unusable_models()]
        voices = [Degraded(voice=name, reason=reason) for name, reason in self._catalogue.unusable_voices()]
        workers = [
            Degraded(worker=number, state="failed", reason=reason)
            for number, reason in self._standing.given_up.items()
        ]
        return engines + plugins + models + voices + workers


def routes(health: Health) -> list[Route]:
    return [Route("/healthz", health.live), Route("/readyz", health.ready)]
