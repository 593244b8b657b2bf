"""GET /healthz (the process answers) and /readyz (it can serve, and what is degraded)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proxy.catalogue import Catalogue
from proxy.endpoints.replies import reply
from proxy.engines.live import Engines
from proxy.engines.registry import Registry
from proxy.errors import RequestFailed
from proxy.storage.store import StorageFailed, Store

_STORE_S = 2.0


class Health:
    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        engines: Engines,
        registry: Registry,
        default_model: str,
        is_draining: Callable[[], bool],
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._engines = engines
        self._registry = registry
        self._default_model = default_model
        self._is_draining = is_draining

    async def live(self, _request: Request) -> Response:
        return reply({"status": "ok"})

    async def ready(self, _request: Request) -> Response:
        reasons = [reason for reason in (self._draining(), await self._storage(), self._model()) if reason]
        status = "unready" if reasons else "ready"
        body = {"status": status, "reasons": reasons, "degraded": self._degraded()}
        return reply(body, 503 if reasons else 200)

    def _draining(self) -> str:
        return "draining: the server is shutting down" if self._is_draining() else ""

    async def _storage(self) -> str:
        try:
            async with asyncio.timeout(_STORE_S):
                await self._store.read("SELECT 1 AS one", {})
        except (StorageFailed, TimeoutError):
            return "storage: the database does not answer"
        return ""

    def _model(self) -> str:
        try:
            models = self._catalogue.resolve_model(self._default_model)
        except RequestFailed as failure:
            return f"default_model {self._default_model}: {failure.message}"
        if any(self._engines[model.engine].state == "ready" for model in models):
            return ""
        return f"default_model {self._default_model}: none of its engines is ready"

    def _degraded(self) -> list[dict[str, Any]]:
        engines = [
            {"engine": name, "state": engine.state, "reason": engine.reason}
            for name, engine in self._engines.items()
            if engine.state != "ready"
        ]
        plugins = [{"plugin": f.name, "stage": f.stage, "reason": f.reason} for f in self._registry.faults]
        return engines + plugins


def routes(health: Health) -> list[Route]:
    return [Route("/healthz", health.live), Route("/readyz", health.ready)]
