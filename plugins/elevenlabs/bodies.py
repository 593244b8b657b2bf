"""The body of a request for speech, as it goes over the wire. A field that is not set is absent."""

from __future__ import annotations

import msgspec

from plugins.elevenlabs.settings import ElevenLabsSettings
from speech_engine.values import SpeechJob


class VoiceSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """The settings of a voice.

    A `speed` of 1 is every voice's default. It is left out, so that the voice keeps its own settings.
    """

    stability: float | None = None
    similarity_boost: float | None = None
    style: float | None = None
    use_speaker_boost: bool | None = None
    speed: float = 1.0

    @classmethod
    def of(cls, settings: ElevenLabsSettings, speed: float = 1.0) -> VoiceSettings | None:
        body = cls(
            settings.stability, settings.similarity_boost, settings.style, settings.use_speaker_boost, speed
        )
        return None if body == cls() else body


class SpeechBody(msgspec.Struct, frozen=True, omit_defaults=True):
    text: str
    model_id: str
    language_code: str | None = None
    voice_settings: VoiceSettings | None = None
    seed: int | None = None
    apply_text_normalization: str = "auto"

    def __repr__(self) -> str:
        return f"<SpeechBody {self.model_id}, {len(self.text)} characters>"


def speech_body(text: str, job: SpeechJob, settings: ElevenLabsSettings) -> SpeechBody:
    return SpeechBody(
        text=text,
        model_id=job.model,
        # ElevenLabs knows no regions. A model that detects the language ignores this field.
        language_code=job.language.partition("-")[0],
        voice_settings=VoiceSettings.of(settings, job.speed),
        seed=job.seed,
        apply_text_normalization=settings.text_normalization,
    )
