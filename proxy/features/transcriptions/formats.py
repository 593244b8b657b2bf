"""A transcript in OpenAI's formats: JSON with or without times, plain text, and subtitles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from proxy.features.transcriptions.form import TranscriptFormat
from proxy.http.replies import encode_json
from speech_engine.hearing import Task, TranscriptSegment
from speech_engine.language_names import english_name
from speech_engine.redacted import Redacted


class DurationUsage(msgspec.Struct, frozen=True):
    """What is charged: the seconds of the recording."""

    seconds: float
    type: Literal["duration"] = "duration"


class FoundLanguage(msgspec.Struct, frozen=True):
    code: str


class TranscriptText(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `response_format: "json"`."""

    text: str
    languages: tuple[FoundLanguage, ...]
    usage: DurationUsage


class TranscribedWord(msgspec.Struct, frozen=True):
    word: str
    start: float
    end: float


class TranscribedSegment(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    seek: int = 0
    start: float
    end: float
    text: str
    tokens: tuple[int, ...]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float


class VerboseTranscript(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `response_format: "verbose_json"`. `words` and `segments` are there if they were asked
    for; without `timestamp_granularities`, segments are."""

    task: Task
    language: str
    duration: float
    text: str
    segments: list[TranscribedSegment] | UnsetType = UNSET
    words: list[TranscribedWord] | UnsetType = UNSET
    usage: DurationUsage


class TextDelta(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """The `data` of an event with the next piece of the text."""

    type: Literal["transcript.text.delta"] = "transcript.text.delta"
    delta: str


class TextDone(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """The `data` of the last event: the whole text."""

    type: Literal["transcript.text.done"] = "transcript.text.done"
    text: str
    languages: tuple[FoundLanguage, ...]
    usage: DurationUsage


class TranscriptBuilder:
    """Collects the segments of a transcript. The texts that `add_segments` returned are, joined, its text."""

    def __init__(self) -> None:
        self.segments: list[TranscriptSegment] = []
        self.language = ""
        self._texts: list[str] = []

    def add_segments(self, segments: Iterable[TranscriptSegment]) -> str:
        """Take the next segments. Return what the text grows by."""
        grown: list[str] = []
        for segment in segments:
            self.language = self.language or segment.language
            self.segments.append(segment)
            text = segment.text.rstrip() if self._texts or grown else segment.text.strip()
            if text:
                grown.append(text)
        self._texts += grown
        return "".join(grown)

    @property
    def whole_text(self) -> str:
        return "".join(self._texts)

    @property
    def languages(self) -> tuple[FoundLanguage, ...]:
        return (FoundLanguage(self.language.partition("-")[0]),) if self.language else ()


def transcript_body(
    builder: TranscriptBuilder,
    format_: TranscriptFormat,
    seconds: float,
    task: Task,
    granularities: Sequence[str] = (),
) -> bytes:
    text, usage = builder.whole_text, DurationUsage(round(seconds, 3))
    match format_:
        case "json":
            return encode_json(TranscriptText(text=text, languages=builder.languages, usage=usage))
        case "verbose_json":
            answer = VerboseTranscript(
                task=task,
                language="english" if task == "translate" else english_name(builder.language),
                duration=usage.seconds,
                text=text,
                segments=UNSET if tuple(granularities) == ("word",) else _timed_segments(builder.segments),
                words=_timed_words(builder.segments) if "word" in granularities else UNSET,
                usage=usage,
            )
            return encode_json(answer)
        case "srt" | "vtt":
            return _subtitles(builder.segments, is_vtt=format_ == "vtt").encode()
        case _:
            return f"{text}\n".encode()


def _subtitles(segments: Iterable[TranscriptSegment], *, is_vtt: bool) -> str:
    cues = list[str]()
    for segment in segments:
        # A line break would end a cue, and an arrow begin one.
        if text := " ".join(segment.text.split()).replace("-->", "→"):
            times_ms = round(1000 * segment.start_s), round(1000 * segment.end_s)
            cues.append(cue(len(cues) + 1, *times_ms, text, is_vtt=is_vtt))
    if not cues:
        return "WEBVTT\n" if is_vtt else "\n"
    return "\n".join(["WEBVTT\n", *cues] if is_vtt else cues)


def cue(number: int, start_ms: int, end_ms: int, text: str, *, is_vtt: bool) -> str:
    """Return a cue of WebVTT, where some signs begin a tag, or one of SRT, which has a number."""
    times = f"{_timestamp(start_ms)} --> {_timestamp(end_ms)}"
    if is_vtt:
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return f"{times}\n{text}\n"
    return f"{number}\n{times.replace('.', ',')}\n{text}\n"


def _timed_segments(segments: Iterable[TranscriptSegment]) -> list[TranscribedSegment]:
    return [
        TranscribedSegment(
            id=number,
            start=round(segment.start_s, 3),
            end=round(segment.end_s, 3),
            text=segment.text,
            tokens=segment.tokens,
            temperature=segment.temperature,
            avg_logprob=segment.avg_logprob,
            compression_ratio=segment.compression_ratio,
            no_speech_prob=segment.no_speech,
        )
        for number, segment in enumerate(segments)
    ]


def _timed_words(segments: Iterable[TranscriptSegment]) -> list[TranscribedWord]:
    return [
        TranscribedWord(word.text.strip(), round(word.start_s, 3), round(word.end_s, 3))
        for segment in segments
        for word in segment.words
    ]


def _timestamp(ms: int) -> str:
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}"
