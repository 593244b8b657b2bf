"""POST /v1/audio/speech: audio as it is spoken, one WAV with true sizes, server-sent events, or JSON."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable, Callable
from functools import partial
from hashlib import sha256
from typing import Any

import msgspec
from msgspec.structs import replace
from starlette.types import Receive, Scope, Send

from policies.plans import Terms
from policies.routing import Voice
from proxy.access.callers import Caller
from proxy.api.background import NO_BACKGROUND, Background, BackgroundRequest
from proxy.api.speech_answers import (
    AudioDelta,
    AudioDone,
    AudioError,
    AudioWords,
    JsonFrame,
    SpokenAnswer,
    WordEvents,
    delta,
    event,
    speech_usage,
)
from proxy.api.speech_forms import SpeechForms
from proxy.api.speech_headers import ANSWER_HEADERS, SOME_ANSWER_HEADERS, answer_headers
from proxy.audio.formats import MEDIA_TYPES
from proxy.config.sections import Server
from proxy.errors import (
    IdempotencyKeyReused,
    InvalidRequest,
    LimitsUnavailable,
    NoPlace,
    NotAllowed,
    NotFound,
    QuotaExceeded,
    RateLimited,
    RequestUnderWay,
    UnsupportedMediaType,
    UpstreamFailed,
    from_engine,
)
from proxy.http.body import BODY_FAILURES
from proxy.http.connection import Connection
from proxy.http.endpoint import Endpoint, Header, json
from proxy.http.idempotency import KEY_HEADER, Idempotency, sent_key
from proxy.kept.once import Once
from proxy.ledger import Payer
from proxy.speech import speech_request
from proxy.speech.answer import Answer
from proxy.speech.call import SpeechCall
from proxy.speech.pipeline import Delivery
from proxy.speech.speaking import Speaking
from proxy.speech.speech_body import SpeechBody
from proxy.speech.speech_request import SpeechRequest
from speech_engine import EngineError

BUFFERED_WAV_S = 60.0
"""Up to this estimated length a WAV is sent whole, with true sizes in its header: some players need them."""

MOST_LAST_BYTES = 64 * 1024
"""The most bytes that go out when a request is settled, and holds no stream of its account any more."""

_PACE_HEADER = "x-voxgate-pace"
_PACE = Header(
    _PACE_HEADER,
    "`live`: the sound is sent at most five seconds before it is heard, for a client that may hang up.",
    "^live$",
)


SPEECH_FAILURES = (NotAllowed, RateLimited, QuotaExceeded, LimitsUnavailable, UpstreamFailed)
"""The failures of whatever speaks."""


class SpeechEndpoint:
    """An ASGI app, since it must see the client leave, and must be able to break off an answer."""

    def __init__(
        self,
        speaking: Speaking,
        idempotency: Idempotency,
        server: Server,
        forms: SpeechForms | None = None,
        background: Background = NO_BACKGROUND,
    ) -> None:
        self._forms = forms
        self._background = background
        self._speaking = speaking
        self._idempotency = idempotency
        self._defaults = speech_request.Defaults.of(server)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection, state = Connection(scope, receive, send), scope["state"]
        caller: Caller = state["caller"]
        # Before the body: a request that is refused for its body counts, too.
        admitted = await self._speaking.admission.admit(caller)
        state["rate"] = admitted.window
        kind = connection.header(b"content-type").lower()
        if kind.startswith("multipart/"):
            if not kind.startswith("multipart/form-data") or self._forms is None:
                raise UnsupportedMediaType("Send JSON, with content-type: application/json, or a form.")
            await self._speak_form(self._forms, state, admitted.terms, connection)
            return
        body = await connection.body(speech_request.MAX_BODY_BYTES)
        request = speech_request.parse_speech(body, self._defaults, self._speaking.plans.client_fields)
        if request.answer == "background":
            # Its key makes an id. A kept answer is believed for a usage row, and a 202 has none.
            sent = sent_key(connection.headers(b"idempotency-key"))
            later = BackgroundRequest(state["request_id"], caller, admitted.terms, body, self._defaults, sent)
            await (await self._background.begin(later))(scope, receive, send)
            return
        key = self._idempotency.key(connection)
        speak = partial(self._speak, state, request, admitted.terms)
        if key is None:
            await speak(connection)
        else:
            once = Once(state["request_id"], caller.account, key, sha256(body).digest())
            terms = admitted.terms
            payer = Payer(account=caller.account, key=caller.key, anchor=caller.anchor, terms=terms)
            await self._idempotency.answer(connection, once, payer, speak)

    async def speak(self, scope: Scope, connection: Connection, request: SpeechRequest) -> None:
        """Answer a request that was made here, such as a voice's preview. It counts as speech."""
        state = scope["state"]
        admitted = await self._speaking.admission.admit(state["caller"])
        state["rate"] = admitted.window
        await self._speak(state, request, admitted.terms, connection)

    async def _speak_form(
        self, forms: SpeechForms, state: dict[str, Any], terms: Terms, connection: Connection
    ) -> None:
        """Speak with the voice that comes with the request."""
        fields = self._speaking.plans.client_fields()
        async with forms.speaking(connection, state["caller"], terms, self._defaults, fields) as sent:
            await self._speak(state, sent.request, terms, connection, sent.voice)

    async def _speak(
        self,
        state: dict[str, Any],
        request: SpeechRequest,
        terms: Terms,
        connection: Connection,
        lent: Voice | None = None,
    ) -> None:
        caller: Caller = state["caller"]
        call = await self._speaking.call(state["request_id"], caller, request, terms, lent)
        if caller.role == "admin":
            state["route"] = call.plan.description
        if connection.recording is not None:
            connection.recording.voices = tuple(sorted(call.plan.own_voices))
        write = _write_file if _is_whole_file(connection, call) else _WRITERS[request.answer]
        goes_whole = write in (_write_file, _write_json)
        is_paced = _is_live(connection, caller) and not goes_whole
        if is_paced:
            write = partial(_at_live_pace, write)
        call = replace(call, goes_whole=goes_whole, is_paced=is_paced)
        with connection.stop_when_client_leaves():
            delivery = Delivery(partial(_deliver, write, connection), lambda: connection.sent_share)
            try:
                await self._speaking.pipeline.answer(call, delivery)
            finally:
                state["is_recorded"] = call.tally.is_held


def routes(
    endpoint: SpeechEndpoint, forms: SpeechForms | None, accepted: type[msgspec.Struct] | None = None
) -> list[Endpoint]:
    return [
        Endpoint(
            "POST",
            "/v1/audio/speech",
            endpoint,
            "create_speech",
            "Text to speech: audio as it is spoken, server-sent events, or one JSON object",
            {
                **dict.fromkeys(MEDIA_TYPES.values(), ()),
                "text/event-stream": (AudioDelta, AudioWords, AudioDone, AudioError),
                **json(SpokenAnswer),
            },
            body=SpeechBody,
            form=None if forms is None else forms.form,
            files=() if forms is None else forms.files,
            failures=(
                *BODY_FAILURES,
                *(NotFound, RequestUnderWay, UnsupportedMediaType, IdempotencyKeyReused, NoPlace),
                *SPEECH_FAILURES,
            ),
            request_headers=(KEY_HEADER, _PACE),
            accepted=accepted,
            headers=ANSWER_HEADERS,
            some_headers=SOME_ANSWER_HEADERS,
            is_direct=True,
            pace="own",
        )
    ]


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
    await connection.end(answer.last(), answer.settle)


async def _write_file(connection: Connection, answer: Answer) -> None:
    size = await answer.collect()
    _set_whole_head(connection, answer, MEDIA_TYPES[answer.call.request.form.format], size)
    with answer.reading():
        while (data := await answer.next_chunk()) is not None:
            await connection.send(data)
    await connection.end(answer.last(), answer.settle)


async def _write_json(connection: Connection, answer: Answer) -> None:
    frame = JsonFrame.of(answer, await answer.collect())
    _set_whole_head(connection, answer, "application/json", frame.size)
    before = frame.begin
    with answer.reading():
        while (data := await answer.next_chunk()) is not None:
            await connection.send(before + b64encode(data))
            before = b""
    rest = before + b64encode(answer.last()) + frame.end
    # The times of all words may be long, too.
    while len(rest) > MOST_LAST_BYTES:
        await connection.send(rest[:MOST_LAST_BYTES])
        rest = rest[MOST_LAST_BYTES:]
    await connection.end(rest, answer.settle)


async def _write_events(connection: Connection, answer: Answer) -> None:
    words = WordEvents(answer) if answer.call.request.answer == "words" else None
    connection.set_head(200, answer_headers(answer, "text/event-stream; charset=utf-8"))
    try:
        while (data := await answer.next_chunk()) is not None:
            news = b"" if words is None else words.next()
            await connection.send(delta(data) + news, answer.run_ahead)
        last = delta(answer.last()) + (b"" if words is None else words.next())
    except EngineError as error:
        await connection.send(event(AudioError(error=from_engine(error).body().error)))
        raise
    await connection.end(last + event(AudioDone(usage=speech_usage(answer))), answer.settle)


_Write = Callable[[Connection, Answer], Awaitable[None]]
_WRITERS: dict[str, _Write] = {
    "audio": _write_audio,
    "sse": _write_events,
    "words": _write_events,
    "json": _write_json,
}


def _is_live(connection: Connection, caller: Caller) -> bool:
    """Tell whether the key or the request sets the pace `live`. Raises InvalidRequest."""
    pace = connection.header(_PACE_HEADER.encode())
    if pace and pace != "live":
        raise InvalidRequest(f"Invalid header '{_PACE_HEADER}': it can only be live.", param=_PACE_HEADER)
    return bool(pace) or caller.caps.pace == "live"


def _deliver(write: _Write, connection: Connection, answer: Answer) -> Awaitable[None]:
    connection.on_left = answer.note_departure
    return write(connection, answer)


def _at_live_pace(write: _Write, connection: Connection, answer: Answer) -> Awaitable[None]:
    answer.keep_live_pace(lambda: connection.is_hurried)
    return write(connection, answer)


def _set_whole_head(connection: Connection, answer: Answer, media_type: str, size: int) -> None:
    headers = answer_headers(answer, media_type)
    connection.set_head(200, [*headers, (b"content-length", b"%d" % size)])
