"""The answers of speech that are not plain audio: one JSON object, and server-sent events."""

from __future__ import annotations

import base64
import math
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from proxy.api.speech_headers import base_voices
from proxy.errors import ErrorDetail
from proxy.http.replies import encode_json
from proxy.speech.answer import Answer
from proxy.speech.answer_check import CheckReport
from speech_engine.redacted import Redacted

_TOKENS_A_SECOND = 20


class WordTime(msgspec.Struct, frozen=True):
    """A word of the text that was sent, its place there, and when it is heard.

    `interpolated` is there if the engine did not tell when: it was computed from the words around it.
    """

    word: str
    start_seconds: float
    source_start: int
    source_end: int
    interpolated: bool | UnsetType = UNSET


class SpeechUsage(msgspec.Struct, frozen=True):
    """The size of a request and of its answer. A token is a character in, and a 20th of a second out."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    characters: int
    seconds: float


class SpeechReport(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """What an answer says of its speech, beside the sound. `words` is null if their times are not known. With
    `word_times`, the server itself heard the times. `substitute` is there if the header
    `x-voxgate-substitute` is, and `voice_base` if `x-voxgate-voice-from` is."""

    audio_format: str
    duration_seconds: float
    sample_rate: int
    voice_used: str
    model_used: str
    language: str
    words: list[WordTime] | None
    word_times: Literal["heard"] | UnsetType = UNSET
    usage: SpeechUsage
    ignored: tuple[str, ...] | UnsetType = UNSET
    substitute: str | UnsetType = UNSET
    voice_base: str | UnsetType = UNSET
    check: CheckReport | UnsetType = UNSET


class SpokenAnswer(SpeechReport, frozen=True, kw_only=True):
    """The answer to `response_format: "json"`. `words` is null if their times are not known."""

    audio_base64: str


class AudioDelta(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """The `data` of an event with the next piece of the audio, in base64."""

    type: Literal["speech.audio.delta"] = "speech.audio.delta"
    audio: str


class AudioWords(msgspec.Struct, frozen=True, kw_only=True):
    """The `data` of an event of `stream_format: "words"`: the next words whose times are known."""

    type: Literal["speech.audio.words"] = "speech.audio.words"
    words: list[WordTime]


class AudioDone(msgspec.Struct, frozen=True, kw_only=True):
    """The `data` of the last event of an answer that is whole. `substitute` is there if the header
    `x-voxgate-substitute` is, and `voice_base` if `x-voxgate-voice-from` is."""

    type: Literal["speech.audio.done"] = "speech.audio.done"
    usage: SpeechUsage
    substitute: str | UnsetType = UNSET
    voice_base: str | UnsetType = UNSET
    check: CheckReport | UnsetType = UNSET


class AudioError(msgspec.Struct, frozen=True, kw_only=True):
    """The `data` of the last event of an answer that broke off."""

    type: Literal["error"] = "error"
    error: ErrorDetail


class JsonFrame(Redacted, msgspec.Struct, frozen=True):
    """A `SpokenAnswer` in JSON: what comes before and after its audio, and the size of the whole."""

    begin: bytes
    end: bytes
    size: int

    @classmethod
    def around_audio(cls, report: msgspec.Struct, audio_bytes: int) -> JsonFrame:
        """Return the frame of a collected answer, with `audio_bytes` bytes of audio."""
        # The audio is the first field, and the fields of the report follow it.
        begin, end = b'{"audio_base64":"', b'",' + encode_json(report).removeprefix(b"{")
        # Base64 writes 4 characters for each 3 bytes begun.
        return cls(begin, end, len(begin) + 4 * -(-audio_bytes // 3) + len(end))


def speech_report(answer: Answer, first_character: int = 0) -> SpeechReport:
    """Return the report of a collected answer.

    `first_character` is the number of characters before the text that is reported. The places of words are
    counted from there.
    """
    call, words = answer.call, _words(answer)
    check = call.totals.check_report(answer.whole_samples)
    if check is not None and first_character:
        check = check.without_start(first_character)
    if words and first_character:
        words = [
            replace(
                word,
                source_start=word.source_start - first_character,
                source_end=word.source_end - first_character,
            )
            for word in words
        ]
    return SpeechReport(
        audio_format=call.request.form.format,
        duration_seconds=round(answer.seconds, 3),
        sample_rate=answer.speech.sample_rate_hz,
        voice_used=call.plan.voice_id,
        # `Speech.engine` is `engine/model`.
        model_used=answer.speech.engine,
        language=call.plan.language,
        words=words,
        usage=speech_usage(answer),
        ignored=call.ignored_fields() or UNSET,
        substitute=call.totals.substitute or UNSET,
        voice_base=base_voices(call) or UNSET,
        check=check or UNSET,
    )


class SpeechReporter:
    """Reports speech with the computed times of its words. A feature may share a subclass, which hears when
    the words are said, by `AppContext.with_shared`."""

    async def report(self, answer: Answer, first_character: int = 0, sound: bytes = b"") -> SpeechReport:
        """Report a collected answer; `first_character` is as in `speech_report`. A step of a job brings its
        `sound`. Without it a client waits, so this takes a few seconds at most. Raises EngineError."""
        del sound
        return speech_report(answer, first_character)


def done_event(answer: Answer) -> bytes:
    """Return the last event of a whole answer."""
    call = answer.call
    done = AudioDone(
        usage=speech_usage(answer),
        substitute=call.totals.substitute or UNSET,
        voice_base=base_voices(call) or UNSET,
        check=call.totals.check_report(answer.whole_samples) or UNSET,
    )
    return encode_event(done)


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


class WordEvents:
    """The events that tell the words of an answer as soon as their times are known, each word once."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._words_sent = 0

    def next_word_event(self) -> bytes:
        """Return an event with the words since the last one, or b"" if there are none."""
        words = _words(self._answer, self._words_sent) or []
        self._words_sent += len(words)
        return encode_event(AudioWords(words=words)) if words else b""


def delta_event(data: bytes) -> bytes:
    return encode_event(AudioDelta(audio=base64.b64encode(data).decode()))


def encode_event(value: AudioDelta | AudioWords | AudioDone | AudioError) -> bytes:
    return b"data: " + encode_json(value) + b"\n\n"


def _words(answer: Answer, first_word: int = 0) -> list[WordTime] | None:
    """Return the words from `first_word` on, or None without words."""
    words, text = answer.speech.words, answer.call.request.text
    if words is None:
        return None
    return [
        WordTime(
            text[word.source_start : word.source_end],
            word.start_seconds,
            word.source_start,
            word.source_end,
            word.is_interpolated or UNSET,
        )
        for word in words[first_word:]
    ]
