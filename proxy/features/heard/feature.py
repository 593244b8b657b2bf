"""The entry of the feature heard in the list of feature_list.py: speech is checked by a recogniser."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from proxy.catalogue.recognition import LocalRecognition
from proxy.config import defaults
from proxy.config.finding import Finding, note
from proxy.config.sections import Config
from proxy.feature import Additions, AppContext, Feature, FeatureInstance, RevisionContext
from proxy.features.heard.records import RATES, SPANS
from proxy.features.heard.section import SECTION
from proxy.speech.speaking import SpeechAdditions


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.features.heard.check import TranscriptCheck
    from proxy.features.heard.endpoints import MisheardModels
    from proxy.features.heard.free_room import FreeRoom
    from proxy.features.heard.rates import MisheardRates, open_rates
    from proxy.features.heard.watch import CheckWatch
    from proxy.speech.front_ends import FrontEnds

    if context.engines is None:  # a command
        rates = MisheardRates(context.store)
        yield FeatureInstance(context, lambda _revision: Additions(MisheardModels(rates).endpoints))
        return
    watch = CheckWatch(context.metrics.registry)
    async with open_rates(context.store, context.metrics) as rates:
        check = TranscriptCheck(
            context.find_shared_or(LocalRecognition()), context.find(FrontEnds), watch, rates
        )
        room = FreeRoom(context.store)

        def additions_for(revision: RevisionContext) -> Additions:
            check.use_section(SECTION.of(revision.config))
            speech = SpeechAdditions((room.opener,), part_check=check)
            return Additions(MisheardModels(rates).endpoints, speech=speech)

        yield FeatureInstance(context.with_shared(watch).with_shared(rates).with_shared(check), additions_for)


def _check_jobs(config: Config) -> Iterator[Finding]:
    """Yield a note if there is a recogniser, and jobs are not heard."""
    # The names of the recognisers do not depend on engines, their candidates do.
    if config.models.keys() & defaults.hearing_candidates({}).keys() and not SECTION.of(config).jobs:
        yield note("heard", "jobs are heard only if they ask for it", "jobs = true in [heard] has all heard")


FEATURE = Feature(
    "heard", _open, tables=(SPANS, RATES), paths=("/admin/misheard",), doctor=(("heard", _check_jobs),)
)
