"""Recordings at a server with OpenAI's API: the request for a piece, and its answer as segments."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from fnmatch import fnmatchcase
from typing import Annotated

import msgspec

from plugins.openai.refusals import refusal_of_answer
from plugins.openai.settings import OpenAISettings
from speech_engine import (
    EngineFailed,
    Event,
    HearJob,
    HttpAnswer,
    HttpClient,
    TranscriptSegment,
    UnsupportedRequest,
)
from speech_engine.cloud import decoded, request
from speech_engine.hearing import MOST_SEGMENTS
from speech_engine.language_names import base_tag, language_tag
from speech_engine.recording_pieces import (
    MOST_TEXT_CHARACTERS,
    SegmentJoiner,
    TimedText,
    WavPiece,
    take_words,
    transcript_events,
)

_MODELS_WITH_LISTS = "*gpt-transcribe*"
"""The models that take lists of languages and keywords."""
_LENGTH_LIMIT = msgspec.Meta(max_length=MOST_SEGMENTS)


class _Word(msgspec.Struct, frozen=True):
    word: str
    start: float
    end: float


class _Segment(msgspec.Struct, frozen=True):
    text: str
    start: float
    end: float
    avg_logprob: float | None = None
    no_speech_prob: float | None = None
    compression_ratio: float | None = None
    temperature: float | None = None
    tokens: Annotated[tuple[int, ...], _LENGTH_LIMIT] | None = None


class _Language(msgspec.Struct, frozen=True):
    code: str


class _Answer(msgspec.Struct, frozen=True):
    text: str
    language: str | None = None
    languages: Annotated[tuple[_Language, ...], _LENGTH_LIMIT] | None = None
    segments: Annotated[tuple[_Segment, ...], _LENGTH_LIMIT] | None = None
    words: Annotated[tuple[_Word, ...], _LENGTH_LIMIT] | None = None


class Transcription:
    """The transcript of one job, used once."""

    def __init__(self, job: HearJob, settings: OpenAISettings, http: HttpClient) -> None:
        self._job = job
        self._settings = settings
        self._http = http
        self._joiner = SegmentJoiner()
        model = settings.hearing_model(job.model)
        self._translates = job.task == "translate"
        self._has_times = model.times_words and bool(job.times)
        self._has_words = model.times_words and job.times == "words" and not self._translates
        if self._translates and not model.translates:
            raise UnsupportedRequest("The provider's model does not translate.")

    def events(self, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        return transcript_events(pcm, self._job.deadline_s, self._send_piece, self._segments)

    @asynccontextmanager
    async def _send_piece(self, piece: WavPiece, within_s: float) -> AsyncIterator[HttpAnswer]:
        url = self._settings.url(f"/audio/{'translations' if self._translates else 'transcriptions'}")
        form = piece.form(self._fields())
        http_request = request("POST", url, self._settings.http_headers, within_s, body=form)
        async with self._http.send(http_request) as answer:
            if answer.status != 200:
                raise await refusal_of_answer(answer)
            yield answer

    def _fields(self) -> Iterator[tuple[str, str]]:
        """Yield the fields of a request. Without a format, the answer of every server is JSON."""
        job = self._job
        yield "model", job.model
        languages = [base_tag(tag) for tag in ((job.language,) if job.language else job.languages)]
        prompts = [job.prompt, ", ".join(job.keywords)]
        if fnmatchcase(job.model, _MODELS_WITH_LISTS):
            yield from (("languages[]", tag) for tag in languages)
            yield from (("keywords[]", keyword) for keyword in job.keywords)
            prompts.pop()
        elif len(languages) == 1 and not self._translates:
            yield "language", languages[0]
        if (prompt := " ".join(filter(None, prompts))) and self._settings.preset_facts.takes_prompts:
            yield "prompt", prompt
        if job.temperature is not None:
            yield "temperature", str(job.temperature)
        if self._has_times:
            yield "response_format", "verbose_json"
            yield "timestamp_granularities[]", "segment"
        if self._has_words:
            yield "timestamp_granularities[]", "word"

    def _segments(self, piece: WavPiece, body: bytes) -> Iterator[TranscriptSegment | None]:
        """Yield the segments of a piece, and None for one without a text."""
        found = decoded(_Answer, body, "The provider's transcript is none.")
        named = found.language or (found.languages[0].code if found.languages else "")
        language = "en" if self._translates else language_tag(named) or self._job.language
        if not self._has_times:
            yield self._joiner.join(piece, TimedText(found.text), language=language)
            return
        if not found.segments and found.text.strip():
            raise EngineFailed("The provider's transcript has no times.")
        words = deque(TimedText(each.word, each.start, each.end) for each in found.words or ())
        for each in found.segments or ():
            if len(each.text) > MOST_TEXT_CHARACTERS:
                raise EngineFailed("The provider's transcript is far too long.")
            timed = TimedText(each.text, each.start, each.end)
            yield self._joiner.join(
                piece,
                timed,
                take_words(timed, words) if self._has_words else (),
                language,
                avg_logprob=each.avg_logprob or 0.0,
                no_speech=each.no_speech_prob or 0.0,
                compression_ratio=each.compression_ratio or 0.0,
                temperature=each.temperature or 0.0,
                tokens=each.tokens or (),
            )
