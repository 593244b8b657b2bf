"""The entry of the feature transcriptions in the list of feature_list.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.feature import Additions, AppContext, Feature, FeatureInstance, RevisionContext


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.features.transcriptions.ears import Ears
    from proxy.features.transcriptions.endpoint import Transcriptions
    from proxy.features.transcriptions.hearing import Hearing, HearingMetrics, HearingRates
    from proxy.features.transcriptions.uploads import Uploads

    uploads = Uploads(context.decoder, context.long_decoder)
    rates, metrics = HearingRates(), HearingMetrics(context.metrics.registry)
    ears = None if context.engines is None else Ears(context.engines, metrics)

    def at(revision: RevisionContext) -> Additions:
        speaking, answering = revision.speaking, revision.answering
        engines, voices, budgets = context.engines, revision.voices, revision.budgets
        if speaking is None or answering is None or engines is None or voices is None or budgets is None:
            return Additions()
        if ears is not None:
            ears.revise(revision.config, voices.catalogue.licences)
        hearing = Hearing(voices.catalogue, engines, budgets, rates, metrics)
        transcriptions = Transcriptions(
            speaking, answering, voices.catalogue, hearing, uploads, context.ledger
        )
        return Additions(transcriptions.both_endpoints())

    yield FeatureInstance(context if ears is None else context.sharing(ears), at)


FEATURE = Feature(
    "transcriptions",
    _open,
    paths=("/v1/audio/transcriptions", "/v1/audio/translations"),
)
