"""The page that wires a worker: what is built here is passed down, and nothing is fetched up again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from proxy import __version__, wire
from proxy.callers import Callers
from proxy.catalogue import Catalogue
from proxy.config import Config, Server
from proxy.endpoints import admin, health, models, speech, voices
from proxy.endpoints.edge import Failures, Keys, RequestIds, raise_http_exception
from proxy.endpoints.replies import reply
from proxy.engines.live import Engines, open_engines
from proxy.engines.registry import Registry
from proxy.ledger import Ledger
from proxy.pipeline import Pipeline
from proxy.storage import open_store
from proxy.storage.store import Store
from proxy.telemetry import Metrics
from proxy.text import open_front_ends

_EXPOSED = (
    *("x-request-id", "retry-after", "retry-after-ms", "x-should-retry", "openai-processing-ms"),
    *(f"x-voxgate-{name}" for name in ("engine", "voice", "language", "sample-rate", "cache")),
)
"""What a script in a browser may read of an answer from another origin."""


class Worker(NamedTuple):
    """One worker, wired: its two faces, and what its process has to tell it."""

    public: Starlette
    control: ASGIApp
    engines: Engines
    pipeline: Pipeline
    store: Store
    metrics: Metrics


class Draining:
    """Whether the worker is on its way out; readiness says so."""

    begun = False

    def __call__(self) -> bool:
        return self.begun


@asynccontextmanager
async def open_worker(config: Config, registry: Registry, draining: Draining) -> AsyncIterator[Worker]:
    server, metrics = config.server, Metrics()
    async with (
        open_store(config.storage.url, Path(config.data)) as store,
        open_engines(registry, config.engines) as engines,
        open_front_ends(registry) as front_ends,
    ):
        callers = Callers(store)
        catalogue = Catalogue(config, engines)
        pipeline = Pipeline(catalogue, engines, front_ends, Ledger(store), metrics, server.first_audio_s)
        readiness = health.Health(store, catalogue, engines, registry, server.default_model, draining)
        administration = admin.routes(store, callers) + admin.engine_routes(engines, registry)
        public = _app(
            [
                *speech.routes(pipeline, _defaults(server)),
                *models.routes(catalogue),
                *voices.routes(catalogue),
                *health.routes(readiness),
                *administration,
                *(Route(path, _welcome) for path in ("/", "/v1")),
            ],
            [
                Middleware(RequestIds, metrics=metrics),
                *_cors(server),
                Middleware(Failures),
                Middleware(Keys, callers=callers, public_catalogue=server.public_catalogue),
            ],
        )
        yield Worker(public, control_app(administration, metrics), engines, pipeline, store, metrics)


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


async def _welcome(request: Request) -> Response:
    """What a browser or a client's warm-up call finds at the root."""
    base = f"{request.base_url}v1"
    return reply({"object": "server", "name": "voxgate", "version": __version__, "base_url": base})
