"""Answers requests for sound: plans them, and writes the sound in the form that was requested."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from policies.plans import Terms
from policies.routing import Voice
from proxy.access.callers import Caller
from proxy.api.speech_answers import (
    AudioError,
    JsonFrame,
    SpeechReporter,
    WordEvents,
    delta_event,
    done_event,
    encode_event,
    speech_report,
)
from proxy.api.speech_headers import WORD_TIMES, answer_headers
from proxy.audio.formats import MEDIA_TYPES
from proxy.errors import InvalidRequest, from_engine
from proxy.http.connection import Connection, RawHeader
from proxy.http.endpoint import Header
from proxy.http.idempotency import KEY_FIELD, RepeatedRequests, Respond
from proxy.speech.answer import Answer
from proxy.speech.call import SpeechCall
from proxy.speech.speaking import Speaking
from proxy.speech.speech_request import SpeechRequest
from proxy.speech.usage_tag import TAG_HEADER, TAG_PATTERN, read_tag
from speech_engine import EngineError

BUFFERED_WAV_S = 60.0
"""Up to this estimated length a WAV is sent whole, with true sizes in its header: some players need them."""

MOST_LAST_BYTES = 64 * 1024
"""The most bytes that are sent after the settlement, when the request is no longer one of its account's
streams."""

_PACE = "x-voxgate-pace"
_PACE_FIELD, _TAG_FIELD = _PACE.encode(), TAG_HEADER.encode()
PACE_HEADER = Header(
    _PACE,
    "`live`: the sound is sent at most five seconds before it is heard, for a client that may hang up.",
    "^live$",
)
TAG = Header(TAG_HEADER, "Usage has this tag, and sums by it: an episode, a project, ….", TAG_PATTERN)


Write = Callable[[Connection, Answer], Awaitable[None]]


class AnswerWriter(NamedTuple):
    """Writes an answer in another shape. If it `goes_whole`, nothing is sent before all of it is spoken."""

    write: Write
    goes_whole: bool


class Answering:
    """Answers with sound, for the endpoint of speech and for those of features."""

    def __init__(self, speaking: Speaking, repeated: RepeatedRequests, reporter: SpeechReporter) -> None:
        self._speaking = speaking
        self._repeated = repeated
        self._reporter = reporter

    def answer_once(
        self,
        connection: Connection,
        state: dict[str, Any],
        terms: Terms,
        digest: Callable[[], bytes],
        respond: Respond,
    ) -> Awaitable[None]:
        """Send the stored answer to the request's Idempotency-Key, else call `respond`. `digest` returns the
        digest of the request's content."""
        if KEY_FIELD not in connection.fields:
            return respond(connection)
        return self._repeated.answer_with_key(connection, state, terms, digest, respond)

    async def speak(
        self,
        state: dict[str, Any],
        request: SpeechRequest,
        terms: Terms,
        connection: Connection,
        own_voice: Voice | None = None,
        writer: AnswerWriter | None = None,
    ) -> None:
        """Answer a request that was admitted. Without a `writer`, `request.answer` decides how the answer is
        written. Raises RequestFailed."""
        caller: Caller = state["caller"]
        tag = request.tag
        if _TAG_FIELD in connection.fields:
            tag = read_tag(connection.headers(_TAG_FIELD), tag)
        call = await self._speaking.prepare_call(state["request_id"], caller, request, terms, own_voice)
        if caller.role == "admin":
            state["route"] = call.plan.description
        if connection.recording is not None:
            connection.recording.voices = tuple(sorted(call.plan.own_voices))
        write = _WRITERS[request.answer]
        # This spares most requests a call.
        may_be_whole = request.form.format == "wav" or request.provenance is not None
        if may_be_whole and self._speaking.pipeline.sends_whole and _is_whole_file(connection, call):
            write = _write_file
        goes_whole = write in (_write_file, _write_json)
        if writer is not None:
            write, goes_whole = writer
        # `fields` saves a call of `header`: every request comes here.
        pace = connection.fields.get(_PACE_FIELD)
        if pace and pace != b"live":
            raise InvalidRequest(f"Invalid header '{_PACE}': it can only be live.", param=_PACE)
        is_paced = (bool(pace) or caller.caps.pace == "live") and not goes_whole
        if is_paced:
            write = partial(_at_live_pace, write)
        if request.hears_words:  # its answer is JSON, which goes whole and has no pace
            write = partial(_write_timed_json, self._reporter)
        call = replace(call, goes_whole=goes_whole, is_paced=is_paced, tag=tag)
        with connection.stop_when_client_leaves():
            deliver = partial(_deliver, write, connection)
            try:
                await self._speaking.pipeline.answer(call, deliver, lambda: connection.sent_share)
            finally:
                state["is_recorded"] = call.totals.is_held


def _is_whole_file(connection: Connection, call: SpeechCall) -> bool:
    request = call.request
    if request.provenance is not None and request.answer == "audio":
        return True
    if request.form.format != "wav" or request.answer != "audio" or call.plan.estimated_s > BUFFERED_WAV_S:
        return False
    return connection.header(b"x-stainless-raw-response") != "stream"


async def _write_audio(connection: Connection, answer: Answer) -> None:
    connection.set_head(200, answer_headers(answer, MEDIA_TYPES[answer.call.request.form.format]))
    while (data := await answer.next_chunk()) is not None:
        await connection.send(data, answer.run_ahead)
    await connection.end(answer.last_bytes(), answer.settle)


async def _write_file(connection: Connection, answer: Answer) -> None:
    size = await answer.collect_file()
    _set_whole_head(connection, answer, MEDIA_TYPES[answer.call.request.form.format], size)
    with answer.reading():
        while (data := await answer.next_chunk()) is not None:
            await connection.send(data)
    await connection.end(answer.last_bytes(), answer.settle)


async def _write_json(connection: Connection, answer: Answer) -> None:
    size = await answer.collect_file()
    await write_report(connection, answer, speech_report(answer), size)


async def _write_timed_json(reporter: SpeechReporter, connection: Connection, answer: Answer) -> None:
    size = await answer.collect_file()
    with answer.reading():
        report = await reporter.report(answer)
    is_computed = any(word.interpolated for word in report.words or ())
    how_timed = "interpolated" if is_computed else report.word_times or ""
    await write_report(connection, answer, report, size, how_timed)


async def write_report(
    connection: Connection, answer: Answer, report: msgspec.Struct, size: int, times: str = ""
) -> None:
    """Write one JSON object: the audio of a collected answer, of `size` bytes, and its report."""
    frame = JsonFrame.around_audio(report, size)
    more_headers = ((WORD_TIMES.encode(), times.encode()),) if times else ()
    _set_whole_head(connection, answer, "application/json", frame.size, more_headers)
    first_piece = frame.begin
    with answer.reading():
        while (data := await answer.next_chunk()) is not None:
            await connection.send(first_piece + b64encode(data))
            first_piece = b""
    # The times of all words may be long, too.
    await write_end(connection, answer, first_piece + b64encode(answer.last_bytes()) + frame.end)


async def write_end(connection: Connection, answer: Answer, rest: bytes) -> None:
    """Write the rest of an answer. All but its last bytes are sent before the request is settled."""
    while len(rest) > MOST_LAST_BYTES:
        await connection.send(rest[:MOST_LAST_BYTES])
        rest = rest[MOST_LAST_BYTES:]
    await connection.end(rest, answer.settle)


async def _write_events(connection: Connection, answer: Answer) -> None:
    words = WordEvents(answer) if answer.call.request.answer == "words" else None
    connection.set_head(200, answer_headers(answer, "text/event-stream; charset=utf-8"))
    try:
        while (data := await answer.next_chunk()) is not None:
            word_event = b"" if words is None else words.next_word_event()
            await connection.send(delta_event(data) + word_event, answer.run_ahead)
        last = delta_event(answer.last_bytes()) + (b"" if words is None else words.next_word_event())
    except EngineError as error:
        await connection.send(encode_event(AudioError(error=from_engine(error).body().error)))
        raise
    await connection.end(last + done_event(answer), answer.settle)


_WRITERS: dict[str, Write] = {
    "audio": _write_audio,
    "sse": _write_events,
    "words": _write_events,
    "json": _write_json,
}


def _deliver(write: Write, connection: Connection, answer: Answer) -> Awaitable[None]:
    connection.on_client_left = answer.note_departure
    return write(connection, answer)


def _at_live_pace(write: Write, connection: Connection, answer: Answer) -> Awaitable[None]:
    answer.keep_live_pace(lambda: connection.is_hurried)
    return write(connection, answer)


def _set_whole_head(
    connection: Connection, answer: Answer, media_type: str, size: int, more_headers: Iterable[RawHeader] = ()
) -> None:
    headers = answer_headers(answer, media_type)
    connection.set_head(200, [*headers, *more_headers, (b"content-length", b"%d" % size)])
