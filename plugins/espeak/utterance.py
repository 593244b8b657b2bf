"""The input of eSpeak NG for one job: a voice file, parameters in their ranges, and safe texts.

eSpeak NG checks none of these. With a rate out of range it is silent, and it keeps that rate for the
next job.
"""

from __future__ import annotations

import math

import msgspec

from plugins.espeak.languages import identifier_for
from plugins.espeak.levels import volume_of
from plugins.espeak.plugin import EspeakSettings
from plugins.espeak.safe_text import safe
from plugins.espeak.voices import variant_for
from speech_engine import SpeechJob
from speech_engine.redacted import Redacted
from speech_engine.text.cleaning import is_speech

NORMAL_RATE = 175
SLOWEST_RATE, FASTEST_RATE = 80, 450
_MIDDLE_PITCH, _HIGHEST_PITCH = 50, 99
_STEPS_PER_OCTAVE = 50
_HIGHEST_INTONATION = 99
# eSpeak NG multiplies only a part of a voice's pitch. A factor k changes the pitch of a voice by about
# 0.76 k + 0.24 (measured over five variants, within half a semitone).
_MOVED_PART, _FIXED_PART = 0.76, 0.24

_WORD_GAP_STEP_MS = 10


class Utterance(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """One call of eSpeak NG. `texts` are the job's segments, in order.

    `has_speech` tells if the job's own texts have more than punctuation. `texts` are changed to be safe.
    """

    identifier: str
    texts: tuple[str, ...]
    has_speech: bool
    rate: int
    pitch: int
    volume: int
    intonation: int
    word_gap: int
    seed: int | None
    max_samples: int | None


def _clamped(value: float, lowest: int, highest: int) -> int:
    return round(min(max(value, lowest), highest))


def utterance_of(job: SpeechJob, settings: EspeakSettings) -> Utterance:
    """Return the utterance of a job, with speed and pitch brought into range.

    Raise UnsupportedLanguage or VoiceNotFound if the engine lacks the language or the voice.
    """
    pitch_factor = min(max((2 ** (job.pitch / 12) - _FIXED_PART) / _MOVED_PART, 0.5), 2.0)
    variant = variant_for(job.voice)
    identifier = identifier_for(job.language)
    return Utterance(
        identifier=f"{identifier}+{variant}",
        texts=tuple(safe(segment.spoken, identifier) for segment in job.segments),
        has_speech=any(is_speech(segment.spoken) for segment in job.segments),
        rate=_clamped(NORMAL_RATE * job.speed, SLOWEST_RATE, FASTEST_RATE),
        pitch=_clamped(_MIDDLE_PITCH + _STEPS_PER_OCTAVE * math.log2(pitch_factor), 0, _HIGHEST_PITCH),
        volume=volume_of(variant, job.language, settings.volume),
        # The melody is scaled too, so that a sentence rises by as many semitones as before.
        intonation=_clamped(settings.intonation * pitch_factor, 0, _HIGHEST_INTONATION),
        word_gap=_clamped(settings.word_gap_ms / _WORD_GAP_STEP_MS, 0, 200),
        seed=job.seed,
        max_samples=job.max_samples,
    )
