"""The page that wires a worker: what is built here is passed down, and nothing is fetched up again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from starlette.types import Receive, Scope, Send

from proxy import api_admin
from proxy.access.admission import Admission, Plans
from proxy.access.callers import Callers
from proxy.access.limits import Limits, open_limits
from proxy.access.logins import Logins
from proxy.access.refusals import RefusalTally, open_refusals
from proxy.access.usage_throttle import UsageThrottle
from proxy.api import health, me, models, speech, usage, voice_routes, welcome
from proxy.api.voices import VoiceTools
from proxy.audio.recordings.decoder import Decoder, open_decoder
from proxy.audio.recordings.intake import RecordingIntake
from proxy.catalogue.catalogue import Catalogue
from proxy.catalogue.derived_things import DerivedThings, no_providers
from proxy.catalogue.erased_voices import ErasedVoices
from proxy.catalogue.library import Library
from proxy.catalogue.sample_store import SampleStore
from proxy.config.config_toml import Config
from proxy.config.sections import PluginSection, Server
from proxy.engines.engine_list import Engines, open_engines
from proxy.engines.gallery.listing import open_galleries
from proxy.engines.registry import Registry
from proxy.feature import Feature, House, HouseRevision, OpenHouse, Served, open_features
from proxy.features.all import FEATURES, open_store
from proxy.http import layers
from proxy.http.idempotency import Idempotency
from proxy.kept import KeptAnswers, open_answers
from proxy.kept.vault import Vault, open_vault
from proxy.ledger import Ledger, open_ledger
from proxy.ledger.budgets import Budgets
from proxy.speech.candidate_race import FirstAudio
from proxy.speech.front_ends import FrontEnds, open_front_ends, routed_front_ends
from proxy.speech.language_detection import LanguageDetection, open_detector
from proxy.speech.loudness_levels import LoudnessLevels
from proxy.speech.one_shot import OneShotSamples
from proxy.speech.pipeline import Pipeline
from proxy.speech.planning import Planner, no_proof
from proxy.speech.recent_plans import RecentPlans
from proxy.speech.sound_filter import untreated
from proxy.speech.spill import SpillRoom
from proxy.speech.text_preparation import TextPreparation
from proxy.storage.store import Store
from proxy.telemetry.metrics import Metrics


class WorkerResources(NamedTuple):
    """What lives as long as the worker, in the order in which it is opened."""

    store: Store
    ledger: Ledger
    answers: KeptAnswers
    vault: Vault
    decoder: Decoder
    kept_samples: SampleStore
    open_house: OpenHouse
    limits: Limits
    refusals: RefusalTally
    engines: Engines
    front_ends: FrontEnds
    detector: LanguageDetection
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
        self.erasing = resources.open_house.house.erasing
        self.refusals = resources.refusals
        self.engines, self.metrics = resources.engines, resources.metrics
        self.tasks_alone = [task for feature in resources.open_house.features for task in feature.alone]
        self.server_state = health.ServerState()
        self._resources = resources
        self._registry = registry
        self._galleries = open_galleries(registry)
        self._callers = Callers(self.store)
        self._logins = Logins(self._callers, resources.limits)
        self._usage_throttle = UsageThrottle()
        self._spill_room = SpillRoom(Path(config.data), config.server.spill_mb)
        self.revise(config)

    def __repr__(self) -> str:
        return f"<Worker {self.engines!r}{', draining' if self.server_state.is_draining else ''}>"

    def public(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve a request to the port by the newest revision."""
        return self.app(scope, receive, send)

    def control(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve a request to control.sock by the newest revision."""
        return self._control_app(scope, receive, send)

    def revise(self, config: Config) -> None:
        server, resources = config.server, self._resources
        self._revise_resources(config)
        catalogue = Catalogue(config, self.engines, self._galleries)
        plans = Plans(config.plans)
        budgets = Budgets(self.store, config.engines, self.metrics.engines)
        house = resources.open_house.house
        library = house.library(config)
        voices = VoiceTools(catalogue, library, plans)
        admin_tools = self._admin_tools(config)
        served = resources.open_house.at(
            HouseRevision(config, admin_tools, library, house.clones, house.purges, voices, budgets)
        )
        speech_endpoint = self._wire_speech(config, catalogue, plans, budgets, library, served)
        dependencies = health.Dependencies(catalogue, self.engines, self._registry, budgets)
        readiness = self._readiness(dependencies, server)
        admin_routes = [
            *api_admin.record_routes(admin_tools),
            *api_admin.engine_routes(admin_tools, dependencies, self.planner, library),
            *served.admin,
        ]
        client_routes = [
            *speech.routes(speech_endpoint, served.forms),
            *models.routes(catalogue, plans),
            *voice_routes.routes(voices, speech_endpoint, server.default_model),
            *served.client,
            *me.routes(self.ledger, plans),
            *usage.routes(self.store, self._usage_throttle),
            *health.routes(readiness),
            *welcome.routes(),
        ]
        self.endpoints = welcome.with_description([*client_routes, *admin_routes], server.public_catalogue)
        own_routes = [] if self._link is None else api_admin.server_routes(self._link, config)
        self._control_app = layers.control_app([*admin_routes, *own_routes], self.metrics)
        self.app = layers.public_app(
            self.endpoints, server, self._logins, resources.limits, self.metrics, resources.refusals
        )

    def _wire_speech(
        self,
        config: Config,
        catalogue: Catalogue,
        plans: Plans,
        budgets: Budgets,
        library: Library,
        served: Served,
    ) -> speech.SpeechEndpoint:
        server, resources = config.server, self._resources
        house = resources.open_house.house
        front_ends = resources.front_ends
        first_audio = FirstAudio(catalogue, self.engines, budgets, server.first_audio_s)
        self.admission = Admission(plans, resources.limits)
        self.planner = Planner(
            catalogue,
            front_ends.names,
            resources.detector,
            server.default_language,
            server.turn_pause_ms,
            served.treat or untreated,
            served.check_provenance or no_proof,
        )
        plans_of_calls = RecentPlans(self.planner, catalogue, house.source, tuple(served.concerns))
        self.pipeline = Pipeline(
            TextPreparation(front_ends),
            first_audio,
            house.levels,
            house.source,
            self.ledger,
            self.metrics,
            self._spill_room,
            served.ended,
        )
        resources.open_house.reach(
            DerivedThings(
                memories=(library, plans_of_calls, house.levels, resources.kept_samples),
                files=(resources.answers,),
                drop=self.engines.drop_samples,
                wait_for_providers=no_providers,
            )
        )
        idempotency = Idempotency(resources.answers, self.metrics, self.ledger)
        return speech.SpeechEndpoint(
            self.admission,
            library,
            plans_of_calls,
            self.pipeline,
            idempotency,
            server,
            served.forms,
        )

    def _revise_resources(self, config: Config) -> None:
        server, resources = config.server, self._resources
        self.usage_days = server.usage_days
        self._spill_room.bound(server.spill_mb)
        resources.answers.bound(server.idempotency_mb)
        resources.vault.revise(config.vault)

    def _readiness(self, dependencies: health.Dependencies, server: Server) -> health.HealthEndpoints:
        model, voice = server.default_model, server.default_voice
        limits, state = self._resources.limits, self.server_state
        return health.HealthEndpoints(self.store, limits, dependencies, model, voice, state)

    def _admin_tools(self, config: Config) -> api_admin.AdminTools:
        return api_admin.AdminTools(
            self.store,
            self.ledger,
            self._callers,
            config,
            self._usage_throttle,
            self._resources.open_house.house.purges,
            self._resources.vault,
            self.erasing,
            lambda: self.engines.names,
        )


@asynccontextmanager
async def open_worker(
    config: Config,
    registry: Registry,
    link: api_admin.ServerLink | None = None,
    features: Sequence[Feature] = FEATURES,
) -> AsyncIterator[Worker]:
    """Open a worker. Without a link, commands can neither reload the server nor ask where it listens."""
    metrics, detector_name, data = Metrics(), config.server.detector, Path(config.data)
    detector_section = config.detectors.get(detector_name, PluginSection())
    async with (
        open_store(config.storage.url, data) as store,
        open_ledger(store, metrics) as ledger,
        open_answers(store, data, config.server, metrics) as answers,
        open_vault(store, data, config.vault, metrics) as vault,
        open_decoder() as decoder,
        open_limits(config.limits.url) as limits,
        open_refusals(store, metrics) as refusals,
        open_engines(
            registry,
            config,
            metrics.engines,
            samples := OneShotSamples(kept_samples := SampleStore(store, vault)),
        ) as engines,
        open_front_ends(registry, config.front_ends, routed_front_ends(config)) as front_ends,
        open_detector(registry, detector_name, detector_section) as detector,
        open_features(
            House(
                config=config,
                registry=registry,
                store=store,
                vault=vault,
                ledger=ledger,
                decoder=decoder,
                intake=RecordingIntake(decoder),
                samples=samples,
                engines=engines,
                metrics=metrics,
                erased=(erased := ErasedVoices()),
                levels=LoudnessLevels(erased),
                spread=link and link.spread,
                front_end_revision=front_ends.revision,
            ),
            features,
        ) as open_house,
    ):
        resources = WorkerResources(
            store=store,
            ledger=ledger,
            answers=answers,
            vault=vault,
            decoder=decoder,
            kept_samples=kept_samples,
            open_house=open_house,
            limits=limits,
            refusals=refusals,
            engines=engines,
            front_ends=front_ends,
            detector=detector,
            metrics=metrics,
        )
        yield Worker(config, registry, resources, link)
