"""GET /healthz, /health: the process answers. GET /readyz: whether the server can serve, and what is missing.

Anyone may read /readyz, so it shows the state of an engine, and never a provider's message.
"""

from __future__ import annotations

import asyncio
from typing import Literal, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from proxy.access.limits import Limits
from proxy.catalogue.catalogue import Catalogue
from proxy.config.sections import Server
from proxy.engines.engine_list import Engines
from proxy.engines.registry import Registry
from proxy.errors import LimitsUnavailable, RequestFailed
from proxy.http.replies import reply
from proxy.http.resource import Resource, endpoint, second_path
from proxy.ledger.budgets import Budgets
from proxy.storage.store import StorageFailed, Store

_STORE_TIMEOUT_S = 2.0
_BUDGETS_TIMEOUT_S = 2.0


class Liveness(msgspec.Struct, frozen=True):
    status: Literal["ok"] = "ok"


class DegradedPart(msgspec.Struct, frozen=True, kw_only=True):
    """A part that is missing while the rest serves: an engine with its state, a plugin with the stage that
    failed, a model or voice that its engine does not know, or a worker that is given up."""

    engine: str | UnsetType = UNSET
    state: str | UnsetType = UNSET
    plugin: str | UnsetType = UNSET
    stage: str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    voice: str | UnsetType = UNSET
    worker: int | UnsetType = UNSET
    reason: str


class Dependencies(NamedTuple):
    """The parts of a worker that may be missing while the rest serves."""

    catalogue: Catalogue
    engines: Engines
    registry: Registry
    budgets: Budgets

    async def degraded_parts(self) -> list[DegradedPart]:
        plugins = [DegradedPart(plugin=f.name, stage=f.stage, reason=f.reason) for f in self.registry.faults]
        models = [
            DegradedPart(model=name, reason=reason) for name, reason in self.catalogue.unusable_models()
        ]
        voices = [
            DegradedPart(voice=name, reason=reason) for name, reason in self.catalogue.unusable_voices()
        ]
        return [*await self._degraded_engines(), *plugins, *models, *voices]

    async def _degraded_engines(self) -> list[DegradedPart]:
        over_budget = await self._engines_over_budget()
        states = {
            name: "budget" if engine.state == "ready" and name in over_budget else engine.state
            for name, engine in self.engines.items()
        }
        return [
            DegradedPart(
                engine=name, state=state, reason=f"{state}{self._progress(name)}: see voxgate engines"
            )
            for name, state in states.items()
            if state == "budget" or not self.engines.is_usable(name)
        ]

    def _progress(self, name: str) -> str:
        loaded = self.engines.load_progress(name)
        return "" if loaded is None else f", {loaded:.0%} loaded"

    async def _engines_over_budget(self) -> set[str]:
        """Return the engines whose budget is used up. If the database cannot be reached, there are none."""
        try:
            async with asyncio.timeout(_BUDGETS_TIMEOUT_S):
                return {name for name, _ in self.engines.items() if await self.budgets.find_used_up(name)}
        except (StorageFailed, TimeoutError):
            return set()


class Readiness(msgspec.Struct, frozen=True):
    status: Literal["ready", "unready"]
    reasons: list[str]
    degraded: list[DegradedPart]


class ServerState:
    """The state of the whole server, as the supervisor reports it to a worker. `failed_workers` has the
    workers that are not started again, by number, with the reason."""

    def __init__(self) -> None:
        self.is_draining = False
        self.failed_workers: dict[int, str] = {}


class HealthEndpoints(Resource):
    def __init__(
        self,
        store: Store,
        limits: Limits,
        dependencies: Dependencies,
        server: Server,
        server_state: ServerState,
    ) -> None:
        self._store = store
        self._limits = limits
        self._dependencies = dependencies
        self._default_model = server.default_model
        self._default_voice = server.default_voice
        self._server_state = server_state
        self._running_check: asyncio.Task[Readiness] | None = None

    @endpoint(
        "GET",
        "/healthz",
        Liveness,
        access="open",
        pace="own",
        also=second_path("/health", "is_live_by_other_path", summary="as /healthz"),
    )
    async def is_live(self, _request: Request) -> Response:
        """200 while the process answers"""
        return reply(Liveness())

    @endpoint("GET", "/readyz", Readiness, access="open", pace="own", unready=Readiness)
    async def is_ready(self, _request: Request) -> Response:
        """200 if it can serve, else 503"""
        # Anyone may ask, so one check at a time answers all requests that come meanwhile.
        if self._running_check is None or self._running_check.done():
            self._running_check = asyncio.create_task(self._check_readiness())
        readiness = await asyncio.shield(self._running_check)
        return reply(readiness, 503 if readiness.reasons else 200)

    async def _check_readiness(self) -> Readiness:
        storage, limits = await asyncio.gather(self._storage_problem(), self._limits_problem())
        draining = "draining: the server is shutting down" if self._server_state.is_draining else ""
        problems = (draining, storage, limits, self._default_model_problem(), self._default_voice_problem())
        reasons = [problem for problem in problems if problem]
        given_up = self._server_state.failed_workers.items()
        degraded = [*await self._dependencies.degraded_parts()]
        degraded += [
            DegradedPart(worker=number, state="failed", reason=reason) for number, reason in given_up
        ]
        return Readiness("unready" if reasons else "ready", reasons, degraded)

    async def _storage_problem(self) -> str:
        try:
            async with asyncio.timeout(_STORE_TIMEOUT_S):
                await self._store.read("SELECT 1 AS one", {})
        except (StorageFailed, TimeoutError):
            return "storage: the database does not answer"
        return ""

    async def _limits_problem(self) -> str:
        try:
            await self._limits.check()
        except LimitsUnavailable:
            return "limits: requests cannot be counted"
        return ""

    def _default_model_problem(self) -> str:
        try:
            models = self._dependencies.catalogue.resolve_models(self._default_model)
        except RequestFailed as failure:
            return f"default_model {self._default_model}: {failure.message}"
        if any(self._dependencies.engines.is_usable(model.engine) for model in models):
            return ""
        return f"default_model {self._default_model}: none of its engines is ready"

    def _default_voice_problem(self) -> str:
        obstacle = self._dependencies.catalogue.voice_obstacle(self._default_voice)
        return f"default_voice {self._default_voice}: {obstacle}" if obstacle else ""
