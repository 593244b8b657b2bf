"""The rules by which a recording for a voice is rated, and advice on better recordings.

The thresholds were found on generated voices, and should be checked with recordings of people.
"""

from __future__ import annotations

import msgspec

from policies.sample_quality import Rating, SampleQuality

LEAST_SPEECH_S = 3.0
"""The least speech for a voice."""
_SILENT_DB = -55.0
_LEAST_CHANGE_DB = 4.0
_NOT_AUDIBLE = "nobody speaks in it: it is silent, or its level is far too low"


class SampleMeasures(msgspec.Struct, frozen=True, kw_only=True):
    """The measurements of a recording. Levels are in decibels below full scale.

    `change_db` is the change of the spectrum over time, which is large in speech and small in noise or tones.
    Without a pause, the quietest moments of speech count as noise in `snr_db`. `clipped` is the share of
    samples that are cut off at full scale.
    """

    seconds: float
    speech_s: float
    starts_s: float
    ends_s: float
    peak_db: float
    snr_db: float
    change_db: float
    bandwidth_hz: float
    clipped: float


class _Rule(msgspec.Struct, frozen=True):
    """The thresholds for the ratings high and medium, and the advice below them."""

    high: float
    medium: float
    advice: str


_SPEECH = _Rule(6.0, LEAST_SPEECH_S, "it has little speech: for a clone, send 6 to 30 seconds of it")
_SNR = _Rule(
    24.0, 12.0, "there is noise behind the voice: record in a quieter room, closer to the microphone"
)
_BANDWIDTH = _Rule(
    7000.0,
    3500.0,
    "it sounds dull, as over a telephone: use a better microphone, or a file of higher quality",
)
_UNCLIPPED = _Rule(
    0.999, 0.99, "it is distorted, because it was too loud: turn the microphone down, or move away from it"
)
_LEVEL = _Rule(-30.0, -45.0, "it is very quiet: turn the microphone up, or move closer to it")
_MOST_SPEECH_SHARE = 0.9
_PAUSE = "it has hardly any pause, so its noise cannot be told from the voice: leave a second of silence"


def is_clipped(quality: SampleQuality) -> bool:
    return 1 - quality.clipped < _UNCLIPPED.high


def judge_sample(measures: SampleMeasures) -> SampleQuality:
    """Rate a recording: high if all values are high, low if one is below medium."""
    rated = [
        (measures.snr_db, _SNR),
        (measures.speech_s, _SPEECH),
        (measures.bandwidth_hz, _BANDWIDTH),
        (1 - measures.clipped, _UNCLIPPED),
        (measures.peak_db, _LEVEL),
    ]
    has_pause = measures.speech_s < _MOST_SPEECH_SHARE * measures.seconds
    reasons = [
        _PAUSE if rule is _SNR and not has_pause else rule.advice
        for value, rule in rated
        if value < rule.high
    ]
    refusal = _refusal(measures)
    rating: Rating = "medium" if reasons else "high"
    if refusal or any(value < rule.medium for value, rule in rated):
        rating = "low"
    return SampleQuality(
        rating=rating,
        reasons=() if refusal else tuple(reasons),
        refusal=refusal,
        speech_s=measures.speech_s,
        snr_db=measures.snr_db,
        bandwidth_hz=measures.bandwidth_hz,
        clipped=measures.clipped,
        starts_s=measures.starts_s,
        ends_s=measures.ends_s,
    )


def _refusal(measures: SampleMeasures) -> str:
    if measures.peak_db < _SILENT_DB:
        return _NOT_AUDIBLE
    if measures.speech_s == 0 or measures.change_db < _LEAST_CHANGE_DB:
        return "no speech is heard in it: it is noise, a tone or music"
    if measures.speech_s < LEAST_SPEECH_S:
        return f"it has {measures.speech_s:.1f} seconds of speech, and at least {LEAST_SPEECH_S:g} are needed"
    return ""
