"""The kernel: the objects of a worker or a command that are opened before any feature."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from proxy import storage
from proxy.access.limits import Limits, open_limits
from proxy.access.refusals import RefusalTotals, open_refusals
from proxy.api.server import ServerLink
from proxy.catalogue.cluster import ClusterView
from proxy.catalogue.erased_voices import ErasedVoices
from proxy.config.config_toml import Config
from proxy.engines.engine_list import Engines, open_engines
from proxy.engines.providers.provider_key import NoSharing
from proxy.engines.registry import Registry
from proxy.engines.sample_source import DeferredSource
from proxy.feature import AppContext
from proxy.ledger import Ledger, open_ledger
from proxy.speech.activity import Activity
from proxy.speech.front_ends import FrontEnds, open_front_ends, routed_front_ends
from proxy.speech.language_detection import LanguageDetection, open_detector
from proxy.speech.loudness_levels import LoudnessLevels
from proxy.speech.speaking import SpeechParts
from proxy.speech.spill import SpillQuota
from proxy.storage.store import Store
from proxy.storage.tables import Tables
from proxy.telemetry.metrics import Metrics


class Kernel(NamedTuple):
    """The objects that live as long as a worker or a command. They are opened before any feature."""

    config: Config
    registry: Registry
    metrics: Metrics
    store: Store
    ledger: Ledger
    samples: DeferredSource

    def context(self) -> AppContext:
        """Return the context of a command, which has no engines."""
        erased = ErasedVoices()
        return AppContext(
            config_at_start=self.config,
            registry=self.registry,
            store=self.store,
            ledger=self.ledger,
            samples=self.samples,
            engines=None,
            metrics=self.metrics,
            erased=erased,
            levels=LoudnessLevels(erased),
            front_end_revision=lambda _front_end: "",  # a command opens no front-ends
            cluster=ClusterView(),
        )


class ServerParts(NamedTuple):
    """The additional parts of a server: the engines, their parts for speech, and the rate limits."""

    kernel: Kernel
    limits: Limits
    refusals: RefusalTotals
    engines: Engines
    front_ends: FrontEnds
    detector: LanguageDetection
    spill_quota: SpillQuota
    activity: Activity

    def context(self, link: ServerLink | None) -> AppContext:
        """Return the context of a worker."""
        return self.kernel.context()._replace(
            engines=self.engines,
            front_end_revision=self.front_ends.revision,
            limits=self.limits,
            link=link,
            shared=(self.front_ends, self.activity),
        )

    def speech_parts(self, context: AppContext) -> SpeechParts:
        return SpeechParts(
            self.engines,
            self.front_ends,
            self.detector,
            context.levels,
            context.speech_cache,
            self.kernel.ledger,
            self.kernel.metrics,
            self.spill_quota,
            self.activity,
        )


@asynccontextmanager
async def open_kernel(config: Config, registry: Registry, tables: Tables) -> AsyncIterator[Kernel]:
    metrics, data = Metrics(), Path(config.data)
    async with (
        storage.open_store(config.storage, data, tables) as store,
        open_ledger(store, metrics) as ledger,
    ):
        store.watch_commits(metrics.commit_seconds.observe)
        yield Kernel(config, registry, metrics, store, ledger, DeferredSource())


def _key_sharing(limits: Limits, config: Config) -> NoSharing:
    if limits.providers is None:
        return NoSharing()
    module = import_module("proxy.features.cluster.key_sharing")
    sharing: NoSharing = module.key_sharing(limits.providers, config)
    return sharing


@asynccontextmanager
async def open_server_parts(kernel: Kernel) -> AsyncIterator[ServerParts]:
    config, registry, metrics = kernel.config, kernel.registry, kernel.metrics
    name = config.server.detector
    section = config.plugin("detector", name)
    async with (
        open_limits(config.limits.url) as limits,
        open_refusals(kernel.store, metrics) as refusals,
        open_engines(
            registry,
            config,
            metrics.engines,
            kernel.samples,
            _key_sharing(limits, config),
        ) as engines,
        open_front_ends(registry, config.plugins_of("front_end"), routed_front_ends(config)) as front_ends,
        open_detector(registry, name, section) as detector,
    ):
        spill_quota = SpillQuota(Path(config.data), config.server.spill_mb)
        yield ServerParts(kernel, limits, refusals, engines, front_ends, detector, spill_quota, Activity())
