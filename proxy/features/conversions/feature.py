"""The entry of the feature conversions in the list of feature_list.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.feature import Additions, AppContext, Feature, FeatureInstance, RevisionContext


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.audio.recordings.decoder import Decoder
    from proxy.audio.recordings.intake import RecordingIntake
    from proxy.features.consents.grants import Grants
    from proxy.features.conversions.endpoint import Conversions, ConversionSources

    sources, grants = ConversionSources(RecordingIntake(context.find(Decoder))), context.find(Grants)

    def additions_for(revision: RevisionContext) -> Additions:
        if revision.speaking is None or revision.answering is None:
            return Additions()
        conversions = Conversions(revision.speaking, revision.answering, sources, grants, context.ledger)
        return Additions(conversions.endpoints)

    yield FeatureInstance(context, additions_for)


FEATURE = Feature(
    "conversions",
    _open,
    paths=("/v1/audio/conversions",),
)
