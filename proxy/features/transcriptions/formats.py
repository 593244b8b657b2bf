"""A transcript in the formats of OpenAI's: JSON with or without times, a text, and subtitles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from proxy.features.transcriptions.form import TranscriptFormat
from proxy.http.replies import encode_json
from speech_engine.hearing import Task, TranscriptSegment
from speech_engine.language_names import english_name


class DurationUsage(msgspec.Struct, frozen=True):
    """What is charged: the seconds of the recording."""

    seconds: float
    type: Literal["duration"] = "duration"


class FoundLanguage(msgspec.Struct, frozen=True):
    code: str


class TranscriptText(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `response_format: "json"`."""

    text: str
    languages: tuple[FoundLanguage, ...]
    usage: DurationUsage

    def __repr__(self) -> str:
        return f"<TranscriptText {len(self.text)} characters>"


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


class VerboseTranscript(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `response_format: "verbose_json"`. `words` and `segments` are there if they were asked
    for; without `timestamp_granularities`, segments are."""

    task: Task
    language: str
    duration: float
    text: str
    segments: list[TranscribedSegment] | UnsetType = UNSET
    words: list[TranscribedWord] | UnsetType = UNSET
    usage: DurationUsage

    def __repr__(self) -> str:
        return f"<VerboseTranscript {len(self.text)} characters>"


class TextDelta(msgspec.Struct, frozen=True, kw_only=True):
    """The `data` of an event with the next piece of the text."""

    type: Literal["transcript.text.delta"] = "transcript.text.delta"
    delta: str

    def __repr__(self) -> str:
        return f"<TextDelta {len(self.delta)} characters>"


class TextDone(msgspec.Struct, frozen=True, kw_only=True):
    """The `data` of the last event: the whole text."""

    type: Literal["transcript.text.done"] = "transcript.text.done"
    text: str
    languages: tuple[FoundLanguage, ...]
    usage: DurationUsage

    def __repr__(self) -> str:
        return f"<TextDone {len(self.text)} characters>"


class TranscriptBuilder:
    """The segments so far, and their text. All deltas joined are the text."""

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
    made: TranscriptBuilder,
    format_: TranscriptFormat,
    seconds: float,
    task: Task,
    granularities: Sequence[str] = (),
) -> bytes:
    match format_:
        case "json":
            return json_body(made, seconds)
        case "verbose_json":
            return verbose_body(made, seconds, task, granularities)
        case "srt":
            return srt_body(made.segments)
        case "vtt":
            return vtt_body(made.segments)
        case _:
            return f"{made.whole_text}\n".encode()


def json_body(made: TranscriptBuilder, seconds: float) -> bytes:
    usage = DurationUsage(round(seconds, 3))
    return encode_json(TranscriptText(text=made.whole_text, languages=made.languages, usage=usage))


def verbose_body(made: TranscriptBuilder, seconds: float, task: Task, granularities: Sequence[str]) -> bytes:
    answer = VerboseTranscript(
        task=task,
        language="english" if task == "translate" else english_name(made.language),
        duration=round(seconds, 3),
        text=made.whole_text,
        segments=UNSET if tuple(granularities) == ("word",) else _timed_segments(made.segments),
        words=_timed_words(made.segments) if "word" in granularities else UNSET,
        usage=DurationUsage(round(seconds, 3)),
    )
    return encode_json(answer)


def srt_body(segments: Sequence[TranscriptSegment]) -> bytes:
    cues = [
        f"{number}\n{_clock(segment.start_s, ',')} --> {_clock(segment.end_s, ',')}\n{_cue(segment.text)}\n"
        for number, segment in enumerate(_with_text(segments), 1)
    ]
    return ("\n".join(cues) or "\n").encode()


def vtt_body(segments: Sequence[TranscriptSegment]) -> bytes:
    cues = [
        f"\n{_clock(segment.start_s, '.')} --> {_clock(segment.end_s, '.')}\n{_escaped(_cue(segment.text))}\n"
        for segment in _with_text(segments)
    ]
    return f"WEBVTT\n{''.join(cues)}".encode()


def _with_text(segments: Iterable[TranscriptSegment]) -> list[TranscriptSegment]:
    return [segment for segment in segments if segment.text.strip()]


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


def _clock(seconds: float, mark: str) -> str:
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}{mark}{ms % 1000:03}"


def _cue(text: str) -> str:
    """Return a text without line breaks, which would end a cue, and without its arrow."""
    return " ".join(text.split()).replace("-->", "→")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
