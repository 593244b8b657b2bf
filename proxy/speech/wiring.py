"""The way of a request through this room, wired for one revision of the configuration."""

from __future__ import annotations

from typing import NamedTuple

from proxy.catalogue.catalogue import Catalogue
from proxy.config.sections import Server
from proxy.engines.engine_list import Engines
from proxy.ledger import Ledger
from proxy.ledger.budgets import Budgets
from proxy.speech.candidate_race import FirstAudio
from proxy.speech.front_ends import FrontEnds
from proxy.speech.language_detection import LanguageDetection
from proxy.speech.loudness_levels import LoudnessLevels
from proxy.speech.on_the_way import OnTheWay
from proxy.speech.pipeline import Pipeline
from proxy.speech.planning import Planner, no_proof
from proxy.speech.recent_plans import RecentPlans
from proxy.speech.sound_filter import untreated
from proxy.speech.source import Source
from proxy.speech.spill import SpillRoom
from proxy.speech.text_preparation import TextPreparation
from proxy.telemetry.metrics import Metrics


class SpeechMeans(NamedTuple):
    """What speech is made with, as long as a worker lives."""

    engines: Engines
    front_ends: FrontEnds
    detector: LanguageDetection
    levels: LoudnessLevels
    source: Source
    ledger: Ledger
    metrics: Metrics
    spill_room: SpillRoom


class SpeechPath(NamedTuple):
    """A request's way: planned, perhaps as a moment ago, and answered."""

    planner: Planner
    plans: RecentPlans
    pipeline: Pipeline


def wire_speech(
    means: SpeechMeans,
    server: Server,
    catalogue: Catalogue,
    budgets: Budgets,
    features: OnTheWay,
) -> SpeechPath:
    planner = Planner(
        catalogue,
        means.front_ends.names,
        means.detector,
        server.default_language,
        server.turn_pause_ms,
        features.treat or untreated,
        features.check_provenance or no_proof,
        robot_fallback=server.robot_fallback,
    )
    pipeline = Pipeline(
        TextPreparation(means.front_ends),
        FirstAudio(catalogue, means.engines, budgets, server.first_audio_s),
        means.levels,
        means.source,
        means.ledger,
        means.metrics,
        means.spill_room,
        features.ended,
    )
    plans = RecentPlans(planner, catalogue, means.source, tuple(features.concerns))
    return SpeechPath(planner, plans, pipeline)
