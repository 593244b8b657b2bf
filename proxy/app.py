"""Wires a worker: makes its objects, and gives each the others that it needs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import aclosing, asynccontextmanager

from starlette.types import Receive, Scope, Send

from proxy.access.admission import Admission, Plans
from proxy.access.logins import Logins
from proxy.api import health, speech
from proxy.api.answering import Answering
from proxy.api.models import Models
from proxy.api.server import ServerEndpoints, ServerLink
from proxy.api.speech_answers import SpeechReporter
from proxy.catalogue.catalogue import Catalogue
from proxy.catalogue.erasing import DerivedData
from proxy.catalogue.library import Library
from proxy.config.config_toml import Config
from proxy.config.sections import Server
from proxy.engines.registry import Registry
from proxy.feature import (
    Additions,
    OpenFeatures,
    RevisionContext,
    closed_paths,
    open_feature_names,
    open_features,
)
from proxy.feature_list import all_features, all_tables, features_of
from proxy.http import layers
from proxy.http.closed_paths import ClosedPaths
from proxy.http.endpoint import admin_endpoints, client_endpoints
from proxy.http.idempotency import RepeatedRequests
from proxy.kernel import ServerParts, open_kernel, open_server_parts
from proxy.ledger.budgets import Budgets
from proxy.speech.speaking import Speaking, wire_speech
from proxy.telemetry.background import RepeatingTask


class Worker:
    """One worker, wired.

    `__init__` makes what stays. `revise` makes the rest anew for each revision of the configuration, and a
    request ends in the revision in which it began.
    """

    def __init__(self, parts: ServerParts, opened: OpenFeatures, link: ServerLink | None = None) -> None:
        kernel, context = parts.kernel, opened.context
        self.kernel, self.parts, self.open_features = kernel, parts, opened
        self.store, self.ledger, self.metrics = kernel.store, kernel.ledger, kernel.metrics
        self.engines, self.refusals, self.erasing = parts.engines, parts.refusals, context.erasing
        # Worker 0 of the oldest server on the database runs these.
        self.tasks_of_one_server = [
            task for feature in opened.features for task in feature.tasks_of_one_server
        ]
        # Worker 0 of every server runs these.
        self.tasks_of_each_server = [
            task for feature in opened.features for task in feature.tasks_of_each_server
        ]
        self.task_kinds, self.cluster = opened.task_kinds, context.cluster
        self.server_state, self._link = health.ServerState(), link
        self._admin_tools = context.admin_tools(lambda: self.engines.names)
        self._logins = Logins(self._admin_tools.callers, parts.limits)
        self.streams = self._admin_tools.callers.streams
        self.revise(kernel.config)

    def public(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer with the app of the newest revision."""
        return self.app(scope, receive, send)

    def control(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer with the control app of the newest revision."""
        return self._control_app(scope, receive, send)

    def revise(self, config: Config) -> None:
        server, context = config.server, self.open_features.context
        self.usage_days = server.usage_days
        self.parts.spill_quota.limit_to(server.spill_mb)
        catalogue = Catalogue(config, self.engines, context.model_command_for)
        plans = Plans(config.plans)
        budgets = Budgets(self.store, config.engines, self.metrics.engines)
        library = context.library(config)
        names = open_feature_names(all_features(), config)
        admin_tools = self._admin_tools._replace(config=config, features=names)
        self.admission = Admission(plans, self.parts.limits)
        speaking = Speaking(self.admission, library)
        repeated = context.find_shared_or(RepeatedRequests())
        reporter = context.find_shared_or(SpeechReporter())
        answering = Answering(speaking, repeated, reporter)
        dependencies = health.Dependencies(catalogue, self.engines, self.kernel.registry, budgets)
        additions = self.open_features.additions_for(
            RevisionContext(
                config,
                admin_tools,
                library,
                context,
                catalogue=catalogue,
                plans=plans,
                budgets=budgets,
                dependencies=dependencies,
                speaking=speaking,
                answering=answering,
            )
        )
        # Features have `speaking` already. It works from here on.
        self._wire_speech(server, catalogue, budgets, library, speaking, additions)
        forms, background = additions.forms, additions.background
        speech_endpoint = speech.SpeechEndpoint(speaking, answering, server, forms, background)
        readiness = health.HealthEndpoints(
            self.store, self.parts.limits, dependencies, server, self.server_state
        )
        admin_routes = admin_endpoints(additions.endpoints)
        client_routes = [
            *speech.speech_endpoints(speech_endpoint, forms, background),
            *Models(catalogue, plans, server.default_model).endpoints,
            *client_endpoints(additions.endpoints),
            *readiness.endpoints,
        ]
        self.endpoints = [*client_routes, *admin_routes]
        if additions.pages is not None:
            self.endpoints = additions.pages(self.endpoints)
        own_routes = [] if self._link is None else ServerEndpoints(self._link, config).endpoints
        own_routes += additions.for_commands
        closed = ClosedPaths(closed_paths(all_features(), config))
        self._control_app = layers.control_app([*admin_routes, *own_routes], self.metrics, closed)
        self.app = layers.public_app(
            [*self.endpoints, *additions.sockets],
            server,
            *(self._logins, self.parts.limits, self.metrics, self.refusals),
            *(additions.sessions, closed, additions.dialects),
        )

    def _wire_speech(
        self,
        server: Server,
        catalogue: Catalogue,
        budgets: Budgets,
        library: Library,
        speaking: Speaking,
        additions: Additions,
    ) -> None:
        context = self.open_features.context
        speech_parts = self.parts.speech_parts(context)
        self.planner, recent_plans, self.pipeline = wire_speech(
            speech_parts, server, catalogue, budgets, additions.speech
        )
        speaking.wire(self.planner, recent_plans, self.pipeline)
        # An erasure deletes all data that is derived of a voice, so the features learn where this worker has
        # it.
        memories = (library, recent_plans, context.levels)
        self.open_features.set_derived_things(DerivedData(memories, drop=self.engines.drop_samples))


@asynccontextmanager
async def open_worker(
    config: Config, registry: Registry, link: ServerLink | None = None
) -> AsyncIterator[Worker]:
    """Open a worker. Without a link, commands can neither reload the server nor learn its addresses.

    Raises StorageFailed if a feature that is off is used.
    """
    on = features_of(config)
    async with (
        open_kernel(config, registry, all_tables()) as kernel,
        open_server_parts(kernel) as parts,
        open_features(parts.context(link), on, all_features()) as opened,
    ):
        worker = Worker(parts, opened, link)
        stream_checks = RepeatingTask("open streams", worker.streams.check_next, 0.0, kernel.metrics)
        async with aclosing(stream_checks):
            yield worker
