"""The page that wires a worker: what is built here is passed down, and nothing is fetched up again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from proxy import wire
from proxy.callers import Callers
from proxy.catalogue import Catalogue
from proxy.config import Config, Server
from proxy.endpoints import admin, health, models, openapi, speech, voices, welcome
from proxy.endpoints.edge import Failures, Keys, RequestIds, raise_http_exception
from proxy.engines.live import Engines, open_engines
from proxy.engines.registry import Registry
from proxy.ledger import Ledger
from proxy.pipeline import Pipeline
from proxy.storage import open_store
from proxy.storage.store import Store
from proxy.telemetry import Metrics
from proxy.text import FrontEnds, open_front_ends

_EXPOSED = (
    *("x-request-id", "retry-after", "retry-after-ms", "x-should-retry", "openai-processing-ms"),
    *(f"x-voxgate-{name}" for name in ("engine", "voice", "language", "sample-rate", "cache")),
)
"""What a script in a browser may read of an answer from another origin."""


class Worker:
    """One worker, wired. What lives as long as it does is opened once; the rest is built anew from each
    revision of the configuration, and requests under way end in the one that they began in."""

    def __init__(
        self, config: Config, registry: Registry, store: Store, engines: Engines, front_ends: FrontEnds
    ) -> None:
        self.store = store
        self.engines = engines
        self.metrics = Metrics()
        self.is_draining = False
        self._registry = registry
        self._front_ends = front_ends
        self._callers = Callers(store)
        self._administration = [*admin.routes(store, self._callers), *admin.engine_routes(engines, registry)]
        self.control = control_app(self._administration, self.metrics)
        self.revise(config)

    def __repr__(self) -> str:
        return f"<Worker {self.engines!r}{', draining' if self.is_draining else ''}>"

    async def public(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What the port serves: the app of the newest revision."""
        await self.app(scope, receive, send)

    def revise(self, config: Config) -> None:
        server = config.server
        catalogue = Catalogue(config, self.engines)
        self.pipeline = Pipeline(
            catalogue, self.engines, self._front_ends, Ledger(self.store), self.metrics, server.first_audio_s
        )
        readiness = health.Health(
            self.store,
            catalogue,
            self.engines,
            self._registry,
            server.default_model,
            lambda: self.is_draining,
        )
        self.app = _app(
            [
                *speech.routes(self.pipeline, _defaults(server)),
                *models.routes(catalogue),
                *voices.routes(catalogue),
                *health.routes(readiness),
                *self._administration,
                *welcome.routes(),
                *openapi.routes(server.public_catalogue),
            ],
            [
                Middleware(RequestIds, metrics=self.metrics),
                *_cors(server),
                Middleware(Failures),
                Middleware(Keys, callers=self._callers, public_catalogue=server.public_catalogue),
            ],
        )


@asynccontextmanager
async def open_worker(config: Config, registry: Registry) -> AsyncIterator[Worker]:
    async with (
        open_store(config.storage.url, Path(config.data)) as store,
        open_engines(registry, config.engines) as engines,
        open_front_ends(registry) as front_ends,
    ):
        yield Worker(config, registry, store, engines, front_ends)


def control_app(routes: list[Route], metrics: Metrics) -> ASGIApp:
    """The same admin handlers without keys: whoever can open control.sock owns the server."""
    return _app(routes, [Middleware(RequestIds, metrics=metrics), Middleware(Failures)])


def _app(routes: list[Route], middleware: list[Middleware]) -> Starlette:
    app = Starlette(
        routes=routes,
        middleware=middleware,
        exception_handlers={HTTPException: raise_http_exception},
    )
    app.router.redirect_slashes = False
    return app


def _cors(server: Server) -> list[Middleware]:
    if not server.cors_origins:
        return []
    origins = Middleware(
        CORSMiddleware,
        allow_origins=server.cors_origins,
        allow_methods=("GET", "POST", "DELETE"),
        allow_headers=("*",),
        expose_headers=_EXPOSED,
    )
    return [origins]


def _defaults(server: Server) -> wire.Defaults:
    if not server.fill_missing:
        return wire.Defaults()
    return wire.Defaults(server.default_model, server.default_voice)
