"""The entry of the feature transcriptions in the list of feature_list.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.feature import Additions, AppContext, Feature, FeatureInstance, RevisionContext


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.features.history.writing import HistoryEntries
    from proxy.features.transcriptions.endpoint import Transcriptions
    from proxy.features.transcriptions.hearing import HearingParts

    entries, parts = context.find_or(HistoryEntries()), HearingParts(context)

    def at(revision: RevisionContext) -> Additions:
        speaking, answering, hearing = revision.speaking, revision.answering, parts.hearing(revision)
        if speaking is None or answering is None or hearing is None:
            return Additions()
        transcriptions = Transcriptions(speaking, answering, hearing, parts.uploads, context.ledger, entries)
        return Additions(transcriptions.both_endpoints())

    yield FeatureInstance(context.sharing(parts), at)


FEATURE = Feature(
    "transcriptions",
    _open,
    paths=("/v1/audio/transcriptions", "/v1/audio/translations"),
)
