"""The feature marks, as the list of all has it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from proxy.config.config_toml import Config
from proxy.config.finding import Finding, ProbeResults
from proxy.engines.registry import Registry
from proxy.feature import Additions, AppContext, BackedUp, Feature, FeatureInstance, RevisionContext
from proxy.features.marks import manifest_records, receipt_records
from proxy.features.marks.section import MARK_KEYS, RECEIPT_KEYS, SECTION, TEST_CERTIFICATE
from proxy.file_store import key_ring
from proxy.speech.speaking import OnTheWay

_SMALL = 1024 * 1024


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.features.marks.checker import open_checker
    from proxy.features.marks.endpoints import MarkDetection
    from proxy.features.marks.manifests import open_manifests
    from proxy.features.marks.mark_filter import Marks
    from proxy.features.marks.marker import open_marker
    from proxy.features.marks.provenance_observer import LostManifests, ProvenanceObservers
    from proxy.features.marks.receipt_endpoints import ManifestEndpoint, Receipts
    from proxy.features.marks.ring_source import read_receipt_keys, receipt_key_source

    if context.engines is None:
        # Nothing is spoken here: a command only looks for marks.
        async with open_checker(context.decoder, context.store, context.config_at_start) as checker:
            yield FeatureInstance(context, at=lambda _revision: Additions(MarkDetection(checker).endpoints))
        return
    key_source, lost = receipt_key_source(), LostManifests(context.metrics.registry)
    async with (
        open_marker(context.registry, context.config_at_start, context.store) as marker,
        open_manifests(context.config_at_start, context.store, context.metrics.registry) as manifests,
        open_checker(context.decoder, context.store, context.config_at_start, marker) as checker,
    ):

        def at(revision: RevisionContext) -> Additions:
            config = revision.config
            for each in (marker, manifests, checker):
                each.revise(config)
            keys, has_receipts = read_receipt_keys(key_source, config), SECTION.of(config).receipts
            receipts = Receipts(context.store, keys, config.consent.operator, is_on=has_receipts)
            marks = Marks(marker)
            factory = ProvenanceObservers(manifests, lost, has_receipts=has_receipts)
            return Additions(
                [
                    *MarkDetection(checker).endpoints,
                    *ManifestEndpoint(manifests).endpoints,
                    *receipts.endpoints,
                ],
                on_the_way=OnTheWay((factory.opener,), marks.treat, marks.check_provenance, (lost.note,)),
            )

        yield FeatureInstance(context, at)


def _check(config: Config, registry: Registry, results: ProbeResults) -> Iterator[Finding]:
    from proxy.features.marks.marking_check import marking

    yield from marking(config, registry, results)
    yield from _look(config)


def _look(config: Config) -> Iterator[Finding]:
    from proxy.features.marks.marking_check import certificate

    yield from certificate(config)


FEATURE = Feature(
    "marks",
    _open,
    tables=(receipt_records.TABLE, manifest_records.TABLE),
    backed_up=(
        *(BackedUp(name, _SMALL, key_ring.check) for name in (MARK_KEYS, RECEIPT_KEYS)),
        BackedUp(TEST_CERTIFICATE, _SMALL),
    ),
    checks=(_check,),
    doctor=(("certificate", _look),),
)
