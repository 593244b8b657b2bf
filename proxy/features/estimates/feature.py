"""The entry of the feature estimates in the list of feature_list.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.feature import Additions, AppContext, Feature, FeatureInstance, RevisionContext


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.features.estimates.endpoint import Estimates
    from proxy.features.voice_list.voices import VoiceTools

    def additions_for(revision: RevisionContext) -> Additions:
        voices = VoiceTools.of(revision)
        if revision.speaking is None or voices is None:
            return Additions()
        estimates = Estimates(revision.speaking, voices, context.ledger, revision.config)
        return Additions(estimates.endpoints)

    yield FeatureInstance(context, additions_for)


FEATURE = Feature(
    "estimates",
    _open,
    paths=("/v1/audio/speech/estimate",),
)
