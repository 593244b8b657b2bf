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
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from proxy import api_admin
from proxy.access.admission import Admission
from proxy.access.callers import Callers
from proxy.access.limits import Limits, open_limits
from proxy.access.logins import Logins
from proxy.access.plans import Plans
from proxy.access.usage_throttle import UsageThrottle
from proxy.api import health, lexicons, me, models, openapi, speech, usage, voices, welcome
from proxy.api.readiness import Dependencies
from proxy.api_admin.operations import OPERATIONS
from proxy.catalogue.catalogue import Catalogue
from proxy.catalogue.library import Library
from proxy.catalogue.library_editor import LibraryEditor
from proxy.config.config_toml import Config, Server
from proxy.config.sections import PluginSection
from proxy.engines.engine_list import Engines, open_engines
from proxy.engines.registry import Registry
from proxy.http.edge import Failures, KeyCheck, RequestIds, raise_http_exception
from proxy.http.idempotency import Idempotency
from proxy.kept import KeptAnswers, open_answers
from proxy.ledger import Ledger, open_ledger
from proxy.ledger.budgets import Budgets
from proxy.speech import speech_request
from proxy.speech.loudness_levels import LoudnessLevels
from proxy.speech.cache import Cache, open_cache
from proxy.speech.candidate_race import FirstAudio
from proxy.speech.front_ends import FrontEnds, open_front_ends
from proxy.speech.language_detection import LanguageDetection, open_detector
from proxy.speech.pipeline import Pipeline
from proxy.speech.planning import Planner
from proxy.storage import open_store
from proxy.storage.store import Store
from proxy.telemetry import Metrics

_EXPOSED = (
    *("x-request-id", "retry-after", "retry-after-ms", "x-should-retry", "openai-processing-ms"),
    *(
        f"x-voxgate-{name}"
        for name in ("engine", "voice", "language", "sample-rate", "cache", "replayed", "route")
    ),
    *(f"x-ratelimit-{name}-requests" for name in ("limit", "remaining", "reset")),
)
"""What a script in a browser may read of an answer from another origin."""


class WorkerResources(NamedTuple):
    """What lives as long as the worker, in the order in which it is opened."""

    store: Store
    ledger: Ledger
    answers: KeptAnswers
    limits: Limits
    engines: Engines
    front_ends: FrontEnds
    detector: LanguageDetection
    cache: Cache
    metrics: Metrics


class Worker:
    """One worker, wired. What lives as long as it does is opened once; the rest is built anew from each
    revision of the configuration, and requests under way end in the one that they began in."""

    def __init__(self, config: Config, registry: Registry, opened: WorkerResources) -> None:
        self.store, self.ledger, self._answers, self.limits = opened[:4]
        self.engines, self._front_ends, self._detector, self.cache, self.metrics = opened[4:]
        self.standing = health.ServerState()
        self._registry = registry
        self._callers = Callers(self.store)
        self._logins = Logins(self._callers, self.limits)
        self.turns = UsageThrottle(self.limits)
        self._levels = LoudnessLevels()
        self.revise(config)

    def __repr__(self) -> str:
        return f"<Worker {self.engines!r}{', draining' if self.standing.is_draining else ''}>"

    async def public(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What the port serves: the app of the newest revision."""
        await self.app(scope, receive, send)

    async def control(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What control.sock serves, likewise."""
        await self._control(scope, receive, send)

    def revise(self, config: Config) -> None:
        server = config.server
        self.usage_days = server.usage_days
        catalogue = Catalogue(config, self.engines)
        plans = Plans(config.plans)
        self.admission = Admission(plans, self.limits)
        library = Library(self.store, config.lexicons)
        saving = LibraryEditor(self.store, library, self.cache, config.voices, catalogue)
        self.planner = Planner(catalogue, self._front_ends.names, self._detector, server.default_language)
        budgets = Budgets(self.store, config.engines, self.metrics.engines)
        first_audio = FirstAudio(catalogue, self.engines, self._front_ends, budgets, server.first_audio_s)
        self.cache.revise(config)
        self.pipeline = Pipeline(first_audio, self._levels, self.cache, self.ledger, self.metrics)
        self._answers.bound(server.idempotency_mb)
        once = Idempotency(self._answers, self.metrics)
        readiness = health.HealthEndpoints(
            self.store,
            self.limits,
            Dependencies(catalogue, self.engines, self._registry, budgets),
            server.default_model,
            self.standing,
        )
        administration = self._administration(config, budgets, saving)
        self._control = control_app(administration, self.metrics)
        self.app = _app(
            [
                *speech.routes(self.admission, library, self.planner, self.pipeline, once, _defaults(server)),
                *models.routes(catalogue, plans),
                *voices.routes(catalogue, saving, plans),
                *lexicons.routes(saving, config.lexicons),
                *me.routes(self.ledger, plans),
                *usage.routes(self.store, self.turns),
                *health.routes(readiness),
                *administration,
                *welcome.routes(),
                *openapi.routes(OPERATIONS, server.public_catalogue),
            ],
            [
                *_proxies(server),
                Middleware(RequestIds, metrics=self.metrics),
                *_cors(server),
                Middleware(Failures),
                Middleware(KeyCheck, logins=self._logins, public_catalogue=server.public_catalogue),
            ],
        )

    def _administration(self, config: Config, budgets: Budgets, saving: LibraryEditor) -> list[Route]:
        parts = api_admin.Administration(
            self.store, self.ledger, self._callers, config, self.turns, self.cache
        )
        return [
            *api_admin.routes(parts),
            *api_admin.library_routes(parts, saving),
            *api_admin.engine_routes(self.engines, self._registry, budgets),
            *api_admin.route_routes(parts, self.planner, saving.library),
        ]


@asynccontextmanager
async def open_worker(config: Config, registry: Registry) -> AsyncIterator[Worker]:
    metrics, name = Metrics(), config.server.detector
    async with (
        open_store(config.storage.url, Path(config.data)) as store,
        open_ledger(store, metrics) as ledger,
        open_answers(store, Path(config.data), config.server, metrics) as answers,
        open_limits(config.limits.url) as limits,
        open_engines(registry, config, metrics.engines) as engines,
        open_front_ends(registry, config.front_ends, _routed(config)) as front_ends,
        open_detector(registry, name, config.detectors.get(name, PluginSection())) as detector,
        open_cache(config, store, front_ends.revision, metrics.cache, metrics) as cache,
    ):
        opened = WorkerResources(
            store, ledger, answers, limits, engines, front_ends, detector, cache, metrics
        )
        yield Worker(config, registry, opened)


def _routed(config: Config) -> set[str]:
    """The front-ends of routes that somebody may speak."""
    used = (
        route
        for route in config.routes
        if not route.candidates or any(name.partition("/")[0] in config.engines for name in route.candidates)
    )
    return {route.front_end for route in used if route.front_end}


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


def _proxies(server: Server) -> list[Middleware]:
    """Who a request is from, as a proxy says; believed of those alone that the configuration trusts."""
    if not server.trusted_proxies:
        return []
    return [Middleware(ProxyHeadersMiddleware, trusted_hosts=list(server.trusted_proxies))]


def _cors(server: Server) -> list[Middleware]:
    if not server.cors_origins:
        return []
    origins = Middleware(
        CORSMiddleware,
        allow_origins=server.cors_origins,
        allow_methods=("GET", "POST", "PUT", "DELETE"),
        allow_headers=("*",),
        expose_headers=_EXPOSED,
    )
    return [origins]


def _defaults(server: Server) -> speech_request.Defaults:
    if not server.fill_missing:
        return speech_request.Defaults()
    return speech_request.Defaults(server.default_model, server.default_voice)
