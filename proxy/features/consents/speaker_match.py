"""Whether two recordings are of one speaker, as far as a score can tell."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from policies.sample_quality import Rating
from speech_engine.comparer import SpeakerScale

SpeakerAnswer = Literal["same", "other", "unsure"]


def judge_speakers(score: float, scale: SpeakerScale, ratings: Iterable[Rating]) -> SpeakerAnswer:
    """Return the answer to a score. Noise makes one speaker look like two, so that nothing is said of a
    recording whose quality is low."""
    if "low" in ratings:
        return "unsure"
    if score >= scale.same:
        return "same"
    return "other" if score < scale.other else "unsure"
