"""What a worker has for provenance: it makes marks, signs manifests, and finds both again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import structlog
from prometheus_client import CollectorRegistry

from proxy.audio.recordings.decoder import Decoder
from proxy.config.sections import Config
from proxy.engines.registry import Registry
from proxy.features.marks import receipt_records as receipts
from proxy.features.marks.checker import ProvenanceChecker, open_checker
from proxy.features.marks.manifests import Manifests, open_manifests
from proxy.features.marks.marker import KEYS_FILE, Marker, open_marker
from proxy.features.marks.section import MARKING
from proxy.storage.store import Store

_log = structlog.get_logger()


class Provenance(NamedTuple):
    marker: Marker
    manifests: Manifests
    checker: ProvenanceChecker

    def revise(self, config: Config) -> None:
        """Take a revision of the configuration: keys and certificates are read again."""
        self.marker.revise(config)
        self.manifests.revise(config)
        self.checker.revise(config)


async def _note_lost_keys(config: Config, store: Store) -> None:
    """Log that the keys of earlier marks are gone, before new ones are made."""
    section, file = MARKING.of(config), os.path.join(config.data, KEYS_FILE)
    makes_file = (section.mark or section.manifests) and not section.keys
    if not makes_file or await asyncio.to_thread(os.path.lexists, file):
        return
    if await receipts.has_keyed(store):
        _log.error("mark.keys.gone", file=file, do="put its keys behind the new one, then voxgate reload")


@asynccontextmanager
async def open_provenance(
    registry: Registry, config: Config, store: Store, decoder: Decoder, counters: CollectorRegistry
) -> AsyncIterator[Provenance]:
    await _note_lost_keys(config, store)
    async with (
        open_marker(registry, config, store) as marker,
        open_manifests(config, store, counters) as manifests,
        open_checker(decoder, store, config, marker) as checker,
    ):
        yield Provenance(marker, manifests, checker)
