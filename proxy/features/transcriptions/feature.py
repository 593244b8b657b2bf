"""The entry of the feature transcriptions in the list of feature_list.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.feature import Additions, AppContext, Feature, FeatureInstance, RevisionContext


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.features.history.writing import HistoryEntries
    from proxy.features.transcriptions.endpoint import Transcriptions
    from proxy.features.transcriptions.hearing import Hearing, HearingMetrics, HearingRates
    from proxy.features.transcriptions.uploads import Uploads

    entries = context.find_or(HistoryEntries())
    uploads = Uploads(context.decoder, context.long_decoder)
    rates, metrics = HearingRates(), HearingMetrics(context.metrics.registry)

    def at(revision: RevisionContext) -> Additions:
        speaking, answering = revision.speaking, revision.answering
        engines, voices, budgets = context.engines, revision.voices, revision.budgets
        if speaking is None or answering is None or engines is None or voices is None or budgets is None:
            return Additions()
        hearing = Hearing(voices.catalogue, engines, budgets, rates, metrics)
        transcriptions = Transcriptions(
            speaking, answering, voices.catalogue, hearing, uploads, context.ledger, entries
        )
        return Additions(transcriptions.both_endpoints())

    yield FeatureInstance(context, at)


FEATURE = Feature(
    "transcriptions",
    _open,
    paths=("/v1/audio/transcriptions", "/v1/audio/translations"),
)
