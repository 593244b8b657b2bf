"""Build the body of a call to MiniMax. It states the job's values and relies on no default of MiniMax."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET

from plugins.minimax import wire
from plugins.minimax.models import MP3, SAMPLE_RATE_HZ, language_name
from plugins.minimax.plugin import MinimaxSettings
from speech_engine import EngineVoice, Mix, Pronunciation, SpeechJob, Voice, VoiceNotFound

_MOST_PARTS = 4


def speech_body(settings: MinimaxSettings, job: SpeechJob, text: str, format_: str) -> wire.SpeechBody:
    """Return the body of one call. Raises VoiceNotFound if the voice is not one of the account's."""
    weights = _weights(job.voice)
    tone = _pronunciations(settings, job.pronunciations)
    return wire.SpeechBody(
        model=job.model,
        text=text,
        stream=settings.stream,
        stream_options=wire.StreamOptions() if settings.stream else UNSET,
        voice_setting=wire.VoiceSetting(
            speed=job.speed,
            vol=settings.volume,
            # MiniMax takes only whole numbers of semitones. It refuses 2.0 as it refuses 2.5.
            pitch=round(job.pitch),
            voice_id=job.voice.id if isinstance(job.voice, EngineVoice) else UNSET,
            emotion=job.emotion or UNSET,
            text_normalization=settings.text_normalization or UNSET,
        ),
        audio_setting=wire.AudioSetting(
            sample_rate=SAMPLE_RATE_HZ,
            format=format_,
            bitrate=settings.bitrate if format_ == MP3 else UNSET,
        ),
        language_boost=language_name(job.language),
        pronunciation_dict=wire.PronunciationDict(tone) if tone else UNSET,
        timbre_weights=weights or UNSET,
    )


def _pronunciations(settings: MinimaxSettings, pronunciations: Sequence[Pronunciation]) -> tuple[str, ...]:
    """Return the operator's pronunciations, then the lexicon's.

    A word with a slash is left out, because its end cannot be told.
    """
    from_lexicon = (f"{each.word}/{each.sounds}" for each in pronunciations if "/" not in each.word)
    return tuple(dict.fromkeys((*settings.pronunciations, *from_lexicon)))


def _weights(voice: Voice) -> tuple[wire.TimbreWeight, ...]:
    if isinstance(voice, EngineVoice):
        return ()
    if not isinstance(voice, Mix):
        raise VoiceNotFound("MiniMax speaks with voices of its account only; clone the sample first.")
    if not 1 <= len(voice.parts) <= _MOST_PARTS:
        raise VoiceNotFound(f"MiniMax blends from one to {_MOST_PARTS} voices.")
    if not all(weight > 0 for _, weight in voice.parts):
        raise VoiceNotFound("Every voice of a blend has a weight above 0.")
    total = sum(weight for _, weight in voice.parts)
    weights = []
    for part, weight in voice.parts:
        if not isinstance(part, EngineVoice):
            raise VoiceNotFound("MiniMax blends voices of its account only, no samples.")
        weights.append(wire.TimbreWeight(part.id, max(1, round(100 * weight / total))))
    return tuple(weights)
