"""The quality of a recording for a voice, as `sample_rules` rates it."""

from __future__ import annotations

from typing import Literal

import msgspec

Rating = Literal["low", "medium", "high"]

_MARGIN_S = 0.15
"""The margin before and after the speech: a word begins before it is loud."""
PART_S = 12.0
"""A model that must know the words, but cannot take a recording whole, gets a part of at most this length."""


class SampleQuality(msgspec.Struct, frozen=True, kw_only=True):
    """The rating of a recording. `reasons` explain a rating below the best to its sender. With a `refusal`,
    it cannot be used for a voice. The speech is between `starts_s` and `ends_s`. `clipped` is the share of
    samples that are cut off at full scale."""

    rating: Rating
    reasons: tuple[str, ...] = ()
    refusal: str = ""
    speech_s: float = 0.0
    snr_db: float = 0.0
    bandwidth_hz: float = 0.0
    clipped: float = 0.0
    starts_s: float = 0.0
    ends_s: float = 0.0


def speech_range_s(quality: SampleQuality, seconds: float) -> tuple[float, float]:
    """Return the start and the end of the speech, with margins. An engine gets only this stretch."""
    return max(0.0, quality.starts_s - _MARGIN_S), min(seconds, quality.ends_s + _MARGIN_S)
