"""The entry of the feature marks in the list of feature_list.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from proxy.config.config_toml import Config
from proxy.config.finding import Finding, ProbeResults
from proxy.engines.registry import Registry
from proxy.feature import Additions, AppContext, BackedUp, Feature, FeatureInstance, RevisionContext
from proxy.features.marks import clip_facts, manifest_records, stored_rings
from proxy.features.marks.section import MARK_KEYS, RECEIPT_KEYS, RECEIPTS_GONE, TEST_CERTIFICATE
from proxy.features.marks.stored_rings import StoredRings
from proxy.file_store import key_ring
from proxy.http.endpoint import Endpoint
from proxy.speech.speaking import SpeechAdditions

_MOST_FILE_BYTES = 1024 * 1024


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.features.marks.checker import open_checker
    from proxy.features.marks.endpoints import MarkDetection, RingRotation
    from proxy.features.marks.manifest_endpoint import ManifestEndpoint
    from proxy.features.marks.manifests import open_manifests
    from proxy.features.marks.mark_filter import Marks
    from proxy.features.marks.marker import open_marker
    from proxy.features.marks.provenance_observer import LostManifests, ProvenanceObservers
    from proxy.file_store.vault import Vault

    config, store = context.config_at_start, context.store
    stored = StoredRings(store, context.find(Vault)) if store.is_shared else None
    if stored is not None:
        context = context.with_shared(stored)

    def rotation(revision: RevisionContext) -> list[Endpoint]:
        return RingRotation(revision.admin_tools, stored).endpoints

    if context.engines is None:
        # Nothing is spoken here: a command only looks for marks.
        async with open_checker(context.shared, store, config, stored) as checker:
            detection = MarkDetection(checker).endpoints
            yield FeatureInstance(context, lambda revision: Additions([*detection, *rotation(revision)]))
        return
    lost = LostManifests(context.metrics.registry)
    async with (
        open_marker(context.registry, config, store, stored) as marker,
        open_manifests(config, store, context.metrics.registry, stored) as manifests,
        open_checker(context.shared, store, config, stored) as checker,
    ):

        def additions_for(revision: RevisionContext) -> Additions:
            nonlocal config
            config = revision.config
            for each in (marker, manifests, checker):
                each.revise(config)
            marks = Marks(marker)
            factory = ProvenanceObservers(manifests, lost)
            return Additions(
                [
                    *MarkDetection(checker).endpoints,
                    *ManifestEndpoint(manifests).endpoints,
                    *rotation(revision),
                ],
                speech=SpeechAdditions(
                    (factory.opener,), marks.treat, marks.check_provenance, (lost.count_lost,)
                ),
            )

        def take_keys() -> None:  # a stored ring has changed
            marker.revise(config)
            manifests.take_keys(config)

        if stored is not None:
            stored.listeners.append(take_keys)
        yield FeatureInstance(context, additions_for)


def _check(config: Config, registry: Registry, results: ProbeResults) -> Iterator[Finding]:
    from proxy.features.marks.marking_check import check_marking

    yield from check_marking(config, registry, results)
    yield from _check_certificate(config)


def _check_certificate(config: Config) -> Iterator[Finding]:
    from proxy.features.marks.marking_check import check_certificate

    yield from check_certificate(config)


FEATURE = Feature(
    "marks",
    _open,
    tables=(clip_facts.TABLE, manifest_records.TABLE, stored_rings.TABLE),
    paths=(
        "/v1/audio/marks",
        "/admin/marks",
        "/v1/content_provenance_checks",
        "/v1/audio/manifests",
        "/admin/marking",
    ),
    removed=(("/v1/audio/receipts", RECEIPTS_GONE), ("/admin/receipts", RECEIPTS_GONE)),
    backed_up=(
        BackedUp(MARK_KEYS, _MOST_FILE_BYTES, key_ring.check_ring),
        BackedUp(RECEIPT_KEYS, _MOST_FILE_BYTES),  # also a damaged one: no server of this version needs it
        BackedUp(TEST_CERTIFICATE, _MOST_FILE_BYTES),
    ),
    checks=(_check,),
    doctor=(("certificate", _check_certificate),),
)
