"""The entry of the feature estimates in the list of feature_list.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.feature import Additions, AppContext, Feature, FeatureInstance, RevisionContext


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.features.estimates.endpoint import Estimates

    def additions_for(revision: RevisionContext) -> Additions:
        if revision.speaking is None or revision.voices is None:
            return Additions()
        estimates = Estimates(revision.speaking, revision.voices, context.ledger, revision.config)
        return Additions(estimates.endpoints)

    yield FeatureInstance(context, additions_for)


FEATURE = Feature(
    "estimates",
    _open,
    paths=("/v1/audio/speech/estimate",),
)
