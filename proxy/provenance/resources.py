"""What a worker has for provenance: it makes marks, signs manifests, and finds both again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from proxy.audio.recordings.decoder import Decoder
from proxy.config.sections import Config
from proxy.engines.registry import Registry
from proxy.provenance.checker import ProvenanceChecker, open_checker
from proxy.provenance.manifests import Manifests, open_manifests
from proxy.provenance.marker import Marker, open_marker
from proxy.storage.store import Store
from proxy.telemetry.metrics import Metrics


class Provenance(NamedTuple):
    marker: Marker
    manifests: Manifests
    checker: ProvenanceChecker

    def revise(self, config: Config) -> None:
        """Take a revision of the configuration: keys and certificates are read again."""
        self.marker.revise(config)
        self.manifests.revise(config)
        self.checker.revise(config)


@asynccontextmanager
async def open_provenance(
    registry: Registry, config: Config, store: Store, decoder: Decoder, metrics: Metrics
) -> AsyncIterator[Provenance]:
    async with (
        open_marker(registry, config, store) as marker,
        open_manifests(config, store, metrics) as manifests,
        open_checker(decoder, store, config, marker) as checker,
    ):
        yield Provenance(marker, manifests, checker)
