"""The page that wires a worker: what is built here is passed down, and nothing is fetched up again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from starlette.types import Receive, Scope, Send

from proxy import api_admin
from proxy.access.admission import Admission, Plans
from proxy.access.callers import Callers
from proxy.access.limits import Limits, open_limits
from proxy.access.logins import Logins
from proxy.access.usage_throttle import UsageThrottle
from proxy.api import (
    consents,
    health,
    lexicons,
    manifests,
    me,
    models,
    receipts,
    speech,
    usage,
    voice_routes,
    welcome,
)
from proxy.api.marks import mark_routes
from proxy.api.reference_speech import ReferenceSpeech
from proxy.api.voices import VoiceTools
from proxy.catalogue.catalogue import Catalogue
from proxy.catalogue.library import Library
from proxy.catalogue.library_editor import LibraryEditor
from proxy.config.config_toml import Config
from proxy.config.sections import PluginSection, Server
from proxy.engines.engine_list import Engines, open_engines
from proxy.engines.registry import Registry
from proxy.http import layers
from proxy.http.idempotency import Idempotency
from proxy.kept import KeptAnswers, open_answers
from proxy.kept.vault import Vault, open_vault
from proxy.ledger import Ledger, open_ledger
from proxy.ledger.budgets import Budgets
from proxy.provenance.receipt_keys import read_receipt_keys, receipt_key_source
from proxy.provenance.resources import Provenance, open_provenance
from proxy.speech.cache import Cache, open_cache
from proxy.speech.candidate_race import FirstAudio
from proxy.speech.front_ends import FrontEnds, open_front_ends, routed_front_ends
from proxy.speech.language_detection import LanguageDetection, open_detector
from proxy.speech.loudness_levels import LoudnessLevels
from proxy.speech.one_shot import OneShotSamples
from proxy.speech.pipeline import Pipeline
from proxy.speech.planning import Planner
from proxy.speech.recent_plans import RecentPlans
from proxy.speech.sound_queue import SpillRoom
from proxy.speech.text_preparation import TextPreparation
from proxy.storage import open_store
from proxy.storage.store import Store
from proxy.telemetry.metrics import Metrics
from proxy.voices.binding_maker import BindingMaker, open_binding_maker
from proxy.voices.clone_orders import CloneOrders
from proxy.voices.clone_recordings import CloneRecordings
from proxy.voices.derived_things import DerivedThings
from proxy.voices.erasure import Erasure, open_erasure
from proxy.voices.owned_voices import OwnedVoices, VoiceWork, open_voice_work, wire_voices


class WorkerResources(NamedTuple):
    """What lives as long as the worker, in the order in which it is opened."""

    store: Store
    ledger: Ledger
    answers: KeptAnswers
    vault: Vault
    erasure: Erasure
    voice_work: VoiceWork
    samples: OneShotSamples
    limits: Limits
    engines: Engines
    binding_maker: BindingMaker
    front_ends: FrontEnds
    detector: LanguageDetection
    cache: Cache
    provenance: Provenance
    metrics: Metrics


class Worker:
    """One worker, wired. Its resources are opened once; the rest is built anew from each revision of the
    configuration, and a request ends in the revision in which it began."""

    def __init__(
        self,
        config: Config,
        registry: Registry,
        resources: WorkerResources,
        link: api_admin.ServerLink | None = None,
    ) -> None:
        self._link = link
        self.store, self.ledger = resources.store, resources.ledger
        self.erasure, self.voice_use = resources.erasure, resources.voice_work.use
        self.binding_maker = resources.binding_maker
        self.engines, self.cache, self.metrics = resources.engines, resources.cache, resources.metrics
        self.manifests = resources.provenance.manifests
        self.server_state = health.ServerState()
        self._resources = resources
        self._registry = registry
        self._callers = Callers(self.store)
        self._logins = Logins(self._callers, resources.limits)
        self._usage_throttle = UsageThrottle()
        self._receipt_source = receipt_key_source()
        self._levels = LoudnessLevels(self.erasure.erased)
        self._spill_room = SpillRoom(Path(config.data), config.server.spill_mb)
        self.revise(config)

    def __repr__(self) -> str:
        return f"<Worker {self.engines!r}{', draining' if self.server_state.is_draining else ''}>"

    async def public(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request to the port by the newest revision."""
        await self.app(scope, receive, send)

    async def control(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request to control.sock by the newest revision."""
        await self._control_app(scope, receive, send)

    def revise(self, config: Config) -> None:
        server, resources = config.server, self._resources
        self._revise_resources(config)
        catalogue = Catalogue(config, self.engines)
        plans = Plans(config.plans)
        budgets = Budgets(self.store, config.engines, self.metrics.engines)
        vault = resources.vault
        library = Library(self.store, vault, config.lexicons)
        resources.binding_maker.revise(config, budgets, library.forget)
        library_editor = LibraryEditor(self.store, vault, library, self.cache, config.voices, catalogue)
        clones = CloneOrders(self.store, resources.binding_maker)
        owned = wire_voices(library_editor, resources.voice_work, self.erasure, clones)
        voice_tools = VoiceTools(catalogue, library_editor, owned.maker, plans, owned.erasure)
        speech_endpoint = self._wire_speech(config, catalogue, plans, budgets, owned)
        dependencies = health.Dependencies(catalogue, self.engines, self._registry, budgets)
        readiness = self._readiness(dependencies, server)
        receipts_ = self._receipts(config)
        admin_tools = self._admin_tools(config)
        admin_routes = [
            *api_admin.record_routes(admin_tools, owned, resources.provenance.checker),
            *api_admin.engine_routes(admin_tools, dependencies, self.planner, library),
            *api_admin.receipts.routes(receipts_),
        ]
        client_routes = [
            *speech.routes(speech_endpoint),
            *models.routes(catalogue, plans),
            *voice_routes.routes(voice_tools, speech_endpoint, server.default_model, owned.export),
            *consents.routes(owned.consents, catalogue, config.consent),
            *mark_routes(resources.provenance.checker),
            *lexicons.routes(library_editor, config.lexicons),
            *me.routes(self.ledger, plans),
            *manifests.routes(resources.provenance.manifests),
            *usage.routes(self.store, self._usage_throttle),
            *receipts.routes(receipts_),
            *health.routes(readiness),
            *welcome.routes(),
        ]
        self.endpoints = welcome.with_description([*client_routes, *admin_routes], server.public_catalogue)
        own_routes = [] if self._link is None else api_admin.server_routes(self._link, config)
        self._control_app = layers.control_app([*admin_routes, *own_routes], self.metrics)
        self.app = layers.public_app(self.endpoints, server, self._logins, resources.limits, self.metrics)

    def _wire_speech(
        self, config: Config, catalogue: Catalogue, plans: Plans, budgets: Budgets, owned: OwnedVoices
    ) -> speech.SpeechEndpoint:
        server, resources, library = config.server, self._resources, owned.editor.library
        front_ends = resources.front_ends
        first_audio = FirstAudio(catalogue, self.engines, budgets, server.first_audio_s)
        self.admission = Admission(plans, resources.limits)
        marking = resources.provenance.marker.rules
        self.planner = Planner(
            catalogue,
            front_ends.names,
            resources.detector,
            server.default_language,
            server.turn_pause_ms,
            marking,
        )
        plans_of_calls = RecentPlans(self.planner, catalogue, self.cache)
        texts = TextPreparation(front_ends)
        self.pipeline = Pipeline(
            texts,
            first_audio,
            self._levels,
            self.cache,
            self.ledger,
            self.metrics,
            self._spill_room,
            self.erasure.erased,
            resources.provenance.marker,
            resources.provenance.manifests,
            has_receipts=config.marking.receipts,
        )
        self.erasure.things = DerivedThings(
            memories=(library, plans_of_calls, self._levels, self.cache, resources.voice_work.samples),
            files=(self.cache, resources.answers),
            drop=self.engines.drop_samples,
            wait_for_providers=resources.binding_maker.wait_until_gone,
        )
        idempotency = Idempotency(resources.answers, self.metrics)
        intake, samples = resources.voice_work.intake, resources.samples
        reference = ReferenceSpeech(intake, samples, self.engines, self._levels, owned.consents, self.ledger)
        return speech.SpeechEndpoint(
            self.admission,
            library,
            plans_of_calls,
            self.pipeline,
            idempotency,
            server,
            self.voice_use,
            reference,
        )

    def _revise_resources(self, config: Config) -> None:
        server, resources = config.server, self._resources
        self.usage_days, self.plans = server.usage_days, config.plans
        self.cache.revise(config)
        self._spill_room.bound(server.spill_mb)
        resources.answers.bound(server.idempotency_mb)
        resources.vault.revise(config.vault)
        resources.provenance.revise(config)

    def _readiness(self, dependencies: health.Dependencies, server: Server) -> health.HealthEndpoints:
        model, voice = server.default_model, server.default_voice
        limits, state = self._resources.limits, self.server_state
        return health.HealthEndpoints(self.store, limits, dependencies, model, voice, state)

    def _receipts(self, config: Config) -> receipts.Receipts:
        keys = read_receipt_keys(self._receipt_source, config)
        return receipts.Receipts(self.store, keys, config.consent.operator, is_on=config.marking.receipts)

    def _admin_tools(self, config: Config) -> api_admin.AdminTools:
        return api_admin.AdminTools(
            self.store,
            self.ledger,
            self._callers,
            config,
            self._usage_throttle,
            self.cache,
            self._resources.vault,
            self.erasure,
        )


@asynccontextmanager
async def open_worker(
    config: Config, registry: Registry, link: api_admin.ServerLink | None = None
) -> AsyncIterator[Worker]:
    """Open a worker. Without a link, commands can neither reload the server nor ask where it listens."""
    metrics, detector_name = Metrics(), config.server.detector
    detector_section = config.detectors.get(detector_name, PluginSection())
    async with (
        open_store(config.storage.url, Path(config.data)) as store,
        open_ledger(store, metrics) as ledger,
        open_answers(store, Path(config.data), config.server, metrics) as answers,
        open_vault(store, Path(config.data), config.vault, metrics) as vault,
        open_erasure(store, vault, Path(config.data), metrics, link and link.spread) as erasure,
        open_voice_work(store, vault, registry, config, metrics) as voice_work,
        open_limits(config.limits.url) as limits,
        open_engines(
            registry, config, metrics.engines, samples := OneShotSamples(voice_work.samples)
        ) as engines,
        open_binding_maker(
            store, engines, CloneRecordings(store, voice_work.samples), metrics
        ) as binding_maker,
        open_front_ends(registry, config.front_ends, routed_front_ends(config)) as front_ends,
        open_detector(registry, detector_name, detector_section) as detector,
        open_cache(config, store, front_ends.revision, metrics) as cache,
        open_provenance(registry, config, store, voice_work.decoder, metrics) as provenance,
    ):
        resources = WorkerResources(
            store=store,
            ledger=ledger,
            answers=answers,
            vault=vault,
            erasure=erasure,
            voice_work=voice_work,
            samples=samples,
            limits=limits,
            engines=engines,
            binding_maker=binding_maker,
            front_ends=front_ends,
            detector=detector,
            cache=cache,
            provenance=provenance,
            metrics=metrics,
        )
        yield Worker(config, registry, resources, link)
