"""Recordings at a server with OpenAI's API: a request for each piece, and its answer as segments."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from fnmatch import fnmatchcase
from typing import Annotated

import msgspec

from plugins.openai.refusals import refused
from plugins.openai.settings import OpenAISettings
from speech_engine import (
    EngineFailed,
    Event,
    Finished,
    HearJob,
    HttpClient,
    HttpFile,
    HttpForm,
    HttpRequest,
    ProviderCount,
    Transcript,
    TranscriptSegment,
    UnsupportedRequest,
)
from speech_engine.cloud import decoded, request
from speech_engine.hearing import MOST_SEGMENTS
from speech_engine.language_names import base_tag, language_tag
from speech_engine.recording_pieces import (
    SegmentJoiner,
    TimedText,
    WavPiece,
    recording_pieces,
    words_of,
)

_LATER_S = 120.0
"""The longest wait for the answer to a later piece. The job's deadline is only for the first one."""
_LISTS_NAMES = "*gpt-transcribe*"
"""The models that take lists of languages and keywords."""
_MANY = msgspec.Meta(max_length=MOST_SEGMENTS)


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
    tokens: Annotated[tuple[int, ...], _MANY] | None = None


class _Language(msgspec.Struct, frozen=True):
    code: str


class _Answer(msgspec.Struct, frozen=True):
    text: str
    language: str | None = None
    languages: Annotated[tuple[_Language, ...], _MANY] | None = None
    segments: Annotated[tuple[_Segment, ...], _MANY] | None = None
    words: Annotated[tuple[_Word, ...], _MANY] | None = None

    def language_in(self, job: HearJob) -> str:
        named = self.language or (self.languages[0].code if self.languages else "")
        return language_tag(named) or ("en" if job.task == "translate" else job.language)


class Transcription:
    """The transcript of one job, used once."""

    def __init__(self, job: HearJob, settings: OpenAISettings, http: HttpClient) -> None:
        self._job = job
        self._settings = settings
        self._http = http
        self._joiner = SegmentJoiner()
        model = settings.hearing_model(job.model)
        self._has_times = model.times_words and bool(job.times)
        self._has_words = model.times_words and job.times == "words" and job.task == "transcribe"
        if job.task == "translate" and not model.translates:
            raise UnsupportedRequest("The provider's model does not translate.")

    async def events(self, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        up_to_s = 0.0
        async with aclosing(recording_pieces(pcm)) as pieces:
            async for piece in pieces:
                async with self._http.send(self._request(piece)) as answer:
                    if answer.status != 200:
                        raise await refused(answer)
                    up_to_s = piece.end_s
                    # It is billed now, whatever the answer is.
                    yield ProviderCount(up_to_s)
                    body = await answer.read()
                found = decoded(_Answer, body, "The provider's transcript is none.")
                yield Transcript(tuple(self._segments(piece, found)), up_to_s)
        yield Finished(up_to_s)

    def _request(self, piece: WavPiece) -> HttpRequest:
        job, settings = self._job, self._settings
        path = "/audio/translations" if job.task == "translate" else "/audio/transcriptions"
        file = HttpFile("file", "recording.wav", piece.wav, "audio/wav")
        form = HttpForm(tuple(self._fields()), (file,))
        within_s = _LATER_S if piece.start_s else job.deadline_s
        return request("POST", settings.url(path), settings.http_headers, within_s, body=form)

    def _fields(self) -> Iterator[tuple[str, str]]:
        """Yield the fields of a request. Without a format, the answer of every server is JSON."""
        job = self._job
        yield "model", job.model
        languages = [base_tag(tag) for tag in ((job.language,) if job.language else job.languages)]
        prompts = [job.prompt, ", ".join(job.keywords)]
        if fnmatchcase(job.model, _LISTS_NAMES):
            yield from (("languages[]", tag) for tag in languages)
            yield from (("keywords[]", keyword) for keyword in job.keywords)
            prompts.pop()
        elif len(languages) == 1 and job.task == "transcribe":
            yield "language", languages[0]
        if (prompt := " ".join(filter(None, prompts))) and self._settings.takes_prompts:
            yield "prompt", prompt
        if job.temperature is not None:
            yield "temperature", str(job.temperature)
        if self._has_times:
            yield "response_format", "verbose_json"
            yield "timestamp_granularities[]", "segment"
        if self._has_words:
            yield "timestamp_granularities[]", "word"

    def _segments(self, piece: WavPiece, found: _Answer) -> Iterator[TranscriptSegment]:
        language = found.language_in(self._job)
        if not self._has_times:
            if whole := self._joiner.join(piece, TimedText(found.text), language=language):
                yield whole
            return
        if not found.segments and found.text.strip():
            raise EngineFailed("The provider's transcript has no times.")
        words = deque(TimedText(each.word, each.start, each.end) for each in found.words or ())
        for each in found.segments or ():
            timed = TimedText(each.text, each.start, each.end)
            segment = self._joiner.join(
                piece,
                timed,
                words_of(timed, words) if self._has_words else (),
                language,
                avg_logprob=each.avg_logprob or 0.0,
                no_speech=each.no_speech_prob or 0.0,
                compression_ratio=each.compression_ratio or 0.0,
                temperature=each.temperature or 0.0,
                tokens=each.tokens or (),
            )
            if segment is not None:
                yield segment
