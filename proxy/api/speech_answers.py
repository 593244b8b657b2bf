"""The answers of speech that are not plain audio: one JSON object, and server-sent events."""

from __future__ import annotations

import base64
import math
from typing import Literal

import msgspec

from proxy.errors import ErrorDetail
from proxy.speech.answer import Answer

_TOKENS_A_SECOND = 20


class WordTime(msgspec.Struct, frozen=True):
    """A word of the text that was sent, its place there, and when it is heard."""

    word: str
    start_seconds: float
    source_start: int
    source_end: int


class SpeechUsage(msgspec.Struct, frozen=True):
    """The size of a request and of its answer. A token is a character in, and a 20th of a second out."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    characters: int
    seconds: float


class SpokenAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `response_format: "json"`. `words` is null if the engine times none."""

    audio_base64: str
    audio_format: str
    duration_seconds: float
    sample_rate: int
    voice_used: str
    model_used: str
    language: str
    words: list[WordTime] | None
    usage: SpeechUsage

    def __repr__(self) -> str:
        return f"<SpokenAnswer {self.duration_seconds} s of {self.audio_format}>"


class AudioDelta(msgspec.Struct, frozen=True, kw_only=True):
    """The `data` of an event with the next piece of the audio, in base64."""

    type: Literal["speech.audio.delta"] = "speech.audio.delta"
    audio: str

    def __repr__(self) -> str:
        return f"<AudioDelta {len(self.audio)} characters of base64>"


class AudioDone(msgspec.Struct, frozen=True, kw_only=True):
    """The `data` of the last event of an answer that is whole."""

    type: Literal["speech.audio.done"] = "speech.audio.done"
    usage: SpeechUsage


class AudioError(msgspec.Struct, frozen=True, kw_only=True):
    """The `data` of the last event of an answer that broke off."""

    type: Literal["error"] = "error"
    error: ErrorDetail


def spoken_answer(answer: Answer, audio: bytes) -> SpokenAnswer:
    call = answer.call
    return SpokenAnswer(
        audio_base64=base64.b64encode(audio).decode(),
        audio_format=call.request.form.format,
        duration_seconds=round(answer.seconds, 3),
        sample_rate=answer.speech.sample_rate_hz,
        voice_used=call.plan.voice.id,
        model_used=answer.speech.engine,
        language=call.plan.language,
        words=_words(answer),
        usage=speech_usage(answer),
    )


def speech_usage(answer: Answer) -> SpeechUsage:
    characters, seconds = len(answer.call.request.text), answer.seconds
    audio_tokens = math.ceil(seconds * _TOKENS_A_SECOND)
    return SpeechUsage(
        input_tokens=characters,
        output_tokens=audio_tokens,
        total_tokens=characters + audio_tokens,
        characters=characters,
        seconds=round(seconds, 3),
    )


def _words(answer: Answer) -> list[WordTime] | None:
    words, text = answer.speech.words, answer.call.request.text
    if words is None:
        return None
    return [
        WordTime(
            text[word.source_start : word.source_end],
            word.start_seconds,
            word.source_start,
            word.source_end,
        )
        for word in words
    ]
