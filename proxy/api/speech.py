"""POST /v1/audio/speech: audio as it is spoken, one WAV with true sizes, server-sent events, or JSON."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from starlette.types import Receive, Scope, Send

from policies.plans import Terms
from policies.routing import Voice
from proxy.access.admission import Admission
from proxy.access.callers import Caller
from proxy.api.reference_speech import AUDIO, ReferenceForm, ReferenceSpeech, blame_recording
from proxy.api.speech_answers import (
    AudioDelta,
    AudioDone,
    AudioError,
    SpokenAnswer,
    speech_usage,
    spoken_answer,
)
from proxy.api.speech_headers import ANSWER_HEADERS, SOME_ANSWER_HEADERS, answer_headers
from proxy.audio.formats import MEDIA_TYPES
from proxy.catalogue.library import SAVED_THINGS, AccountLibrary, Library
from proxy.config.sections import Server
from proxy.errors import (
    DecoderBusy,
    IdempotencyKeyReused,
    InvalidRequest,
    LimitsUnavailable,
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
from proxy.http.idempotency import KEY_HEADER, Idempotency
from proxy.http.replies import encode_json
from proxy.kept import KeyedRequest
from proxy.speech import speech_request
from proxy.speech.answer import Answer
from proxy.speech.call import SpeechCall
from proxy.speech.manifest_embedding import check_length
from proxy.speech.pipeline import Delivery, Pipeline
from proxy.speech.recent_plans import RecentPlans
from proxy.speech.speech_body import SpeechBody
from proxy.speech.speech_request import SpeechRequest
from proxy.voices.retention import VoiceUse
from speech_engine import EngineError

BUFFERED_WAV_S = 60.0
"""Up to this estimated length a WAV is sent whole, with true sizes in its header: some players need them."""

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
        admission: Admission,
        library: Library,
        plans: RecentPlans,
        pipeline: Pipeline,
        idempotency: Idempotency,
        server: Server,
        use: VoiceUse,
        reference: ReferenceSpeech,
    ) -> None:
        self._reference = reference
        self._admission = admission
        self._library = library
        self._plans = plans
        self._pipeline = pipeline
        self._idempotency = idempotency
        self._use = use
        self._defaults = speech_request.Defaults()
        if server.fill_missing:
            self._defaults = speech_request.Defaults(server.default_model, server.default_voice)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection, state = Connection(scope, receive, send), scope["state"]
        caller: Caller = state["caller"]
        # Before the body: a request that is refused for its body counts, too.
        admitted = await self._admission.admit(caller)
        state["rate"] = admitted.window
        kind = connection.header(b"content-type").lower()
        if kind.startswith("multipart/"):
            if not kind.startswith("multipart/form-data"):
                raise UnsupportedMediaType("Send JSON, with content-type: application/json, or a form.")
            await self._speak_reference(state, admitted.terms, connection)
            return
        body = await connection.body(speech_request.MAX_BODY_BYTES)
        request = speech_request.parse_speech(body, self._defaults, self._plans.client_fields)
        key = self._idempotency.key(connection)
        speak = partial(self._speak, state, request, admitted.terms)
        if key is None:
            await speak(connection)
        else:
            keyed = KeyedRequest(state["request_id"], caller.account, key, body)
            await self._idempotency.answer(connection, keyed, speak)

    async def speak(self, scope: Scope, connection: Connection, request: SpeechRequest) -> None:
        """Answer a request that was made here, such as a voice's preview. It counts as speech."""
        state = scope["state"]
        admitted = await self._admission.admit(state["caller"])
        state["rate"] = admitted.window
        await self._speak(state, request, admitted.terms, connection)

    async def _speak_reference(self, state: dict[str, Any], terms: Terms, connection: Connection) -> None:
        """Speak with the voice of a recording that comes with the request."""
        caller: Caller = state["caller"]
        fields = self._plans.client_fields()
        sent = await self._reference.read(connection, caller, terms, self._defaults, fields)
        try:
            async with self._reference.voice(caller.account, sent) as voice:
                await self._speak(state, sent.request, terms, connection, voice)
        except (InvalidRequest, NotAllowed) as failure:
            blame_recording(failure)
            raise

    async def _speak(
        self,
        state: dict[str, Any],
        request: SpeechRequest,
        terms: Terms,
        connection: Connection,
        lent: Voice | None = None,
    ) -> None:
        caller: Caller = state["caller"]
        call = await self._planned(state["request_id"], caller, request, terms, lent)
        check_length(call)
        if caller.role == "admin":
            state["route"] = call.plan.description
        if connection.recording is not None:
            connection.recording.voices = tuple(sorted(call.plan.own_voices))
        write = _write_file if _is_whole_file(connection, call) else _WRITERS[request.answer]
        if _is_live(connection, caller) and write in _STREAMS:
            write = partial(_at_live_pace, write)
        call = call._replace(goes_whole=write in (_write_file, _write_json))
        with connection.stop_when_client_leaves():
            delivery = Delivery(partial(_deliver, write, connection), lambda: connection.sent_share)
            try:
                await self._pipeline.answer(call, delivery)
            finally:
                # Also if the client left: what is charged is use.
                for part in call.plan.parts if lent is None and call.tally.samples else ():
                    self._use.note(part.voice)

    async def _planned(
        self, id_: str, caller: Caller, request: SpeechRequest, terms: Terms, lent: Voice | None
    ) -> SpeechCall:
        own = await self._library.get(caller.account)
        try:
            return await self._plans.call(id_, caller, request, terms, _having(own, lent))
        except InvalidRequest as failure:
            # Another worker may have saved it a moment ago.
            newer = None
            if failure.code in SAVED_THINGS:
                newer = await self._library.read_again(caller.account)
            if newer is None:
                raise
            return await self._plans.call(id_, caller, request, terms, _having(newer, lent))


def _having(own: AccountLibrary, lent: Voice | None) -> AccountLibrary:
    return own if lent is None else own.having(lent)


def routes(endpoint: SpeechEndpoint) -> list[Endpoint]:
    return [
        Endpoint(
            "POST",
            "/v1/audio/speech",
            endpoint,
            "create_speech",
            "Text to speech: audio as it is spoken, server-sent events, or one JSON object",
            {
                **dict.fromkeys(MEDIA_TYPES.values(), ()),
                "text/event-stream": (AudioDelta, AudioDone, AudioError),
                **json(SpokenAnswer),
            },
            body=SpeechBody,
            form=ReferenceForm,
            files=(AUDIO,),
            failures=(
                *BODY_FAILURES,
                *(NotFound, RequestUnderWay, UnsupportedMediaType, IdempotencyKeyReused, DecoderBusy),
                *SPEECH_FAILURES,
            ),
            request_headers=(KEY_HEADER, _PACE),
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
    media_type = MEDIA_TYPES[answer.call.request.form.format]
    await _send_whole(connection, answer, media_type, await answer.whole())


async def _write_json(connection: Connection, answer: Answer) -> None:
    audio = await answer.whole()
    body = encode_json(spoken_answer(answer, audio))
    await _send_whole(connection, answer, "application/json", body)


async def _write_events(connection: Connection, answer: Answer) -> None:
    connection.set_head(200, answer_headers(answer, "text/event-stream; charset=utf-8"))
    try:
        while (data := await answer.next_chunk()) is not None:
            await connection.send(_delta(data), answer.run_ahead)
        last = _delta(answer.last())
    except EngineError as error:
        await connection.send(_event(AudioError(error=from_engine(error).body().error)))
        raise
    await connection.end(last + _event(AudioDone(usage=speech_usage(answer))), answer.settle)


def _delta(data: bytes) -> bytes:
    return _event(AudioDelta(audio=base64.b64encode(data).decode()))


_Write = Callable[[Connection, Answer], Awaitable[None]]
_WRITERS: dict[str, _Write] = {"audio": _write_audio, "sse": _write_events, "json": _write_json}
_STREAMS: tuple[_Write, ...] = (_write_audio, _write_events)


def _is_live(connection: Connection, caller: Caller) -> bool:
    """Tell whether the key or the request wants its sound as it is heard. Raises InvalidRequest."""
    wanted = connection.header(_PACE_HEADER.encode())
    if wanted and wanted != "live":
        raise InvalidRequest(f"Invalid header '{_PACE_HEADER}': it can only be live.", param=_PACE_HEADER)
    return bool(wanted) or caller.caps.pace == "live"


async def _deliver(write: _Write, connection: Connection, answer: Answer) -> None:
    connection.on_left = answer.note_departure
    await write(connection, answer)


async def _at_live_pace(write: _Write, connection: Connection, answer: Answer) -> None:
    answer.keep_live_pace(lambda: connection.is_hurried)
    await write(connection, answer)


async def _send_whole(connection: Connection, answer: Answer, media_type: str, body: bytes) -> None:
    headers = answer_headers(answer, media_type)
    connection.set_head(200, [*headers, (b"content-length", b"%d" % len(body))])
    await connection.end(body, answer.settle)


def _event(value: AudioDelta | AudioDone | AudioError) -> bytes:
    return b"data: " + encode_json(value) + b"\n\n"
