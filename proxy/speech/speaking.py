"""The speech path, wired for one revision of the configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from cachetools import LRUCache

from policies.plans import Terms
from policies.routing import Voice
from proxy.access.admission import Admission
from proxy.access.callers import Caller
from proxy.catalogue.catalogue import Catalogue
from proxy.catalogue.library import MAY_BE_JUST_SAVED, Library
from proxy.config.sections import Server
from proxy.engines.engine_list import Engines
from proxy.errors import InvalidRequest
from proxy.ledger import Ledger
from proxy.ledger.budgets import Budgets
from proxy.speech.activity import Activity
from proxy.speech.call import SpeechCall
from proxy.speech.candidate_race import FirstAudio
from proxy.speech.front_ends import FrontEnds
from proxy.speech.language_detection import LanguageDetection
from proxy.speech.loudness_levels import LoudnessLevels
from proxy.speech.part_check import NO_CHECK, PlanCheck
from proxy.speech.pipeline import Pipeline
from proxy.speech.planning import Planner, refuse_provenance
from proxy.speech.recent_plans import ObserverFactory, RecentPlans
from proxy.speech.sound_filter import Treat, untreated
from proxy.speech.source import Source
from proxy.speech.speech_request import Defaults, SpeechRequest
from proxy.speech.spill import SpillQuota
from proxy.speech.text_preparation import TextPreparation
from proxy.telemetry.metrics import Metrics

_MOST_GONE = 10_000
"""The most preferred voices that are remembered as gone."""


class SpeechAdditions(NamedTuple):
    """The parts of features in the speech path.

    `factories` open observers. `treat` changes the sound. `check_provenance` refuses requests for manifests.
    The functions in `ended` get each request at its end. The `part_check` hears checked parts.
    """

    factories: Sequence[ObserverFactory] = ()
    treat: Treat | None = None
    check_provenance: Callable[[], None] | None = None
    ended: Sequence[Callable[[SpeechCall], None]] = ()
    part_check: PlanCheck | None = None

    @classmethod
    def of_all(cls, parts: Iterable[SpeechAdditions]) -> SpeechAdditions:
        """Combine several. Of the functions that stand alone, the first one counts."""
        all_ = [*parts]
        return cls(
            [factory for each in all_ for factory in each.factories],
            next((each.treat for each in all_ if each.treat is not None), None),
            next((each.check_provenance for each in all_ if each.check_provenance is not None), None),
            [note for each in all_ for note in each.ended],
            next((each.part_check for each in all_ if each.part_check is not None), None),
        )


class Speaking:
    """Plans calls, and has the pipeline. It works after `wire`: features get it before the path is wired."""

    planner: Planner
    plans: RecentPlans
    pipeline: Pipeline

    def __init__(self, admission: Admission, library: Library) -> None:
        self.admission = admission
        self._library = library
        self._gone_voices: LRUCache[tuple[str, str], bool] = LRUCache(_MOST_GONE)

    def wire(self, planner: Planner, plans: RecentPlans, pipeline: Pipeline) -> None:
        self.planner, self.plans, self.pipeline = planner, plans, pipeline

    async def prepare_call(
        self, id_: str, caller: Caller, request: SpeechRequest, terms: Terms, own_voice: Voice | None = None
    ) -> SpeechCall:
        """Plan a request with the account's current voices and lexicons. Raises as `Planner.plan`."""
        own = await self._library.get(caller.account)
        try:
            return await self.plans.planned_call(id_, caller, request, terms, own, own_voice)
        except InvalidRequest as failure:
            # Another worker may have saved the voice or lexicon a moment ago.
            newer = None
            if failure.code in MAY_BE_JUST_SAVED:
                newer = await self._library.read_again(caller.account)
            if newer is None:
                raise
            return await self.plans.planned_call(id_, caller, request, terms, newer, own_voice)

    async def defaults_of(self, caller: Caller, defaults: Defaults) -> Defaults:
        """Return the defaults of a caller that prefers a voice. If that voice is gone, others decide."""
        own, voice = await self._library.get(caller.account), caller.preferred_voice
        if not self.plans.may_have_voice(voice, own):
            gone = (caller.account, voice)
            # Another worker may have saved it a moment ago: once, since each request comes here.
            newer = None if gone in self._gone_voices else await self._library.read_again(caller.account)
            if newer is None or not self.plans.may_have_voice(voice, newer):
                self._gone_voices[gone] = True
                return defaults
        return defaults.preferring(voice)


class SpeechParts(NamedTuple):
    """The objects of a worker that all revisions of the speech path share."""

    engines: Engines
    front_ends: FrontEnds
    detector: LanguageDetection
    levels: LoudnessLevels
    source: Source
    ledger: Ledger
    metrics: Metrics
    spill_quota: SpillQuota
    activity: Activity


def wire_speech(
    parts: SpeechParts, server: Server, catalogue: Catalogue, budgets: Budgets, features: SpeechAdditions
) -> tuple[Planner, RecentPlans, Pipeline]:
    part_check = features.part_check or NO_CHECK
    planner = Planner(
        catalogue,
        parts.front_ends.names,
        parts.detector,
        server.default_language,
        server.turn_pause_ms,
        features.treat or untreated,
        features.check_provenance or refuse_provenance,
        part_check,
        robot_fallback=server.robot_fallback,
    )
    pipeline = Pipeline(
        TextPreparation(parts.front_ends),
        FirstAudio(catalogue, parts.engines, budgets, server.first_audio_s),
        parts.levels,
        parts.source,
        parts.ledger,
        parts.metrics,
        parts.spill_quota,
        features.ended,
        part_check,
        parts.activity,
    )
    plans = RecentPlans(planner, catalogue, parts.source, tuple(features.factories))
    return planner, plans, pipeline
