"""Speech to text: Scribe writes down a recording. Its words are cut into segments here."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from statistics import fmean
from typing import Annotated

import msgspec

from plugins.elevenlabs.api import Api, decoded
from plugins.elevenlabs.plugin import ElevenLabsSettings
from plugins.elevenlabs.refusals import NOT_TAKEN
from speech_engine.errors import UnsupportedRequest, UnsupportedText
from speech_engine.events import Event
from speech_engine.hearing import MOST_SEGMENTS, HearJob, TranscriptSegment
from speech_engine.http import HttpAnswer
from speech_engine.language_names import base_tag, language_tag
from speech_engine.recording_pieces import SegmentJoiner, TimedText, WavPiece, transcript_events

_PAUSE_S = 0.8
_MOST_SEGMENT_S = 30.0
_SENTENCE_ENDS = (".", "?", "!", "…", "。", "？", "！", "।")
_CLOSING = "\"')]»”’"
_MOST_TERMS = 1000
_TERM = re.compile(r"(?=.{1,50}\Z)[^\s<>{}\[\]\\]+(?: [^\s<>{}\[\]\\]+){0,4}")
"""What Scribe takes as a term: up to 50 characters and five words."""


class _Word(msgspec.Struct, frozen=True):
    text: str
    type: str = "word"
    start: float | None = None
    end: float | None = None
    logprob: float | None = None


class _Answer(msgspec.Struct, frozen=True):
    text: str
    words: Annotated[tuple[_Word, ...], msgspec.Meta(max_length=4 * MOST_SEGMENTS)]
    language_code: str | None = None


class Transcription:
    """The transcript of one job, used once."""

    def __init__(self, api: Api, settings: ElevenLabsSettings, job: HearJob) -> None:
        self._api = api
        self._query = {} if settings.enable_logging else {"enable_logging": "false"}
        self._job = job
        self._joiner = SegmentJoiner()
        if job.task == "translate":
            raise UnsupportedRequest("ElevenLabs does not translate recordings.")

    def events(self, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        return transcript_events(pcm, self._job.deadline_s, self._send_piece, self._segments)

    @asynccontextmanager
    async def _send_piece(self, piece: WavPiece, within_s: float) -> AsyncIterator[HttpAnswer]:
        form = piece.form(self._fields())
        exchange = self._api.exchange(
            "POST", "/v1/speech-to-text", query=self._query, body=form, within_s=within_s
        )
        try:
            async with exchange as answer:
                yield answer
        except UnsupportedText as error:
            # A recording has no text, so the refusal is about the rest of the request.
            raise UnsupportedRequest(NOT_TAKEN, detail=error.detail) from None

    def _fields(self) -> Iterator[tuple[str, str]]:
        job = self._job
        yield "model_id", job.model
        yield "tag_audio_events", "false"
        yield "timestamps_granularity", "word"
        if job.language:
            yield "language_code", base_tag(job.language)
        if job.temperature is not None:
            yield "temperature", str(job.temperature)
        terms = [term for term in job.keywords if _TERM.fullmatch(term)]
        yield from (("keyterms", term) for term in terms[:_MOST_TERMS])

    def _segments(self, piece: WavPiece, body: bytes) -> Iterator[TranscriptSegment | None]:
        """Yield the segments of a piece, and None for one without a text."""
        found = decoded(_Answer, body)
        language = language_tag(found.language_code or "") or self._job.language
        for lead, words in _cut_into_segments(found.words):
            text = lead + "".join(word.text for word in words).strip()
            timed = [word._replace(text=word.text.strip()) for word in words]
            yield self._joiner.join(
                piece,
                TimedText(text, words[0].start_s, words[-1].end_s),
                timed if self._job.times == "words" else (),
                language,
                avg_logprob=fmean(word.logprob for word in words),
            )


def _cut_into_segments(found: tuple[_Word, ...]) -> Iterator[tuple[str, list[TimedText]]]:
    """Yield for each segment the blank after the segment before it, and its words with the blanks between
    them. A segment ends at the end of a sentence, at a pause, or where it is too long."""
    words, lead, blank, at_s = list[TimedText](), "", "", 0.0
    for each in found:
        if each.type != "word" or not each.text.strip():
            blank += each.text if each.type == "spacing" else ""
            continue
        start_s = at_s if each.start is None else each.start
        end_s = max(start_s, start_s if each.end is None else each.end)
        if words and _is_segment_end(words, start_s):
            yield lead, words
            words, lead, blank = [], blank, ""
        words.append(TimedText(blank + each.text, start_s, end_s, each.logprob or 0.0))
        blank, at_s = "", end_s
    if words:
        yield lead, words


def _is_segment_end(words: list[TimedText], next_s: float) -> bool:
    is_sentence = words[-1].text.rstrip(_CLOSING).endswith(_SENTENCE_ENDS)
    is_pause = next_s - words[-1].end_s >= _PAUSE_S
    return is_sentence or is_pause or next_s - words[0].start_s >= _MOST_SEGMENT_S
