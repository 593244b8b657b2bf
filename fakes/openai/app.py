"""The routes of the fake: speech, models, and the lists of voices, which OpenAI itself does not have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from fakes.faults import ScriptedFault, scripted
from fakes.openai import transcriptions
from fakes.openai.bodies import Body, RequestRefusal, checked
from fakes.openai.habits import HABITS, Habits
from fakes.openai.sound import MEDIA_TYPES, RATE_HZ, at_rate, encoded, faster
from fakes.openai.streams import envelope, error_event, events
from fakes.provider import Provider, hum

Voice = Callable[[str], bytes]
"""A function that turns a text into its speech, as 24 kHz PCM."""

_PIECE_BYTES = 4096
_OTHER_CODEC = b"fLaC" + bytes(60)
_NO_EVENTS = ("tts-1", "tts-1-hd")


def provider(voice: Voice = hum) -> Provider:
    routes = [
        route
        for name, habits in HABITS.items()
        for route in _Server(voice, habits).routes(f"/{name}/v1" if name else "/v1")
    ]
    return Provider(Starlette(routes=routes), "/audio/speech")


class _Server:
    """One kind of server. It accepts every key except "wrong"."""

    def __init__(self, voice: Voice, habits: Habits) -> None:
        self._voice = voice
        self._habits = habits

    def routes(self, prefix: str) -> list[Route]:
        days = self._habits.shutdown_dates
        data = [
            {"id": id_, "object": "model", "owned_by": "fake", "shutdown_date": days.get(id_)}
            for id_ in self._habits.models
        ]
        lists = {"/models": {"object": "list", "data": data}, **self._habits.lists}
        return [
            Route(f"{prefix}/audio/speech", self.speech, methods=["POST"]),
            Route(f"{prefix}/audio/transcriptions", self.transcription, methods=["POST"]),
            Route(f"{prefix}/audio/translations", self.transcription, methods=["POST"]),
            *(Route(f"{prefix}{path}", self._listing(found)) for path, found in lists.items()),
        ]

    async def speech(self, request: Request) -> Response:
        fault = scripted(request.scope)
        try:
            _check(request, fault, self._habits.key_header)
            body = checked(await request.body(), request.headers.get("content-type", ""), self._habits)
        except RequestRefusal as refusal:
            return self._refusal(refusal, fault)
        return self._spoken(body, fault)

    async def transcription(self, request: Request) -> Response:
        fault = scripted(request.scope)
        try:
            _check(request, fault, self._habits.key_header)
            asked = transcriptions.asked(request, await request.body(), self._habits)
        except RequestRefusal as refusal:
            return self._refusal(refusal, fault)
        return Response(transcriptions.answer(asked, fault), media_type="application/json")

    def _listing(self, found: Any) -> Callable[[Request], Response]:
        def listing(request: Request) -> Response:
            fault = scripted(request.scope)
            try:
                _check(request, fault, self._habits.key_header)
            except RequestRefusal as refusal:
                return self._refusal(refusal, fault)
            return Response(msgspec.json.encode(found), media_type="application/json")

        return listing

    def _spoken(self, body: Body, fault: ScriptedFault | None) -> Response:
        format_ = "wav" if self._habits.always_wav else body.format
        rate_hz = self._habits.rate_hz if format_ in ("pcm", "wav") else RATE_HZ
        pcm = at_rate(faster(self._voice(body.input), body.speed), rate_hz)
        sound = encoded(pcm, format_, rate_hz)
        if fault and fault.name == "wrong_codec":
            sound = _OTHER_CODEC
        is_stream = self._habits.has_events and body.stream_format == "sse" and body.model not in _NO_EVENTS
        pieces = (sound[start : start + _PIECE_BYTES] for start in range(0, len(sound), _PIECE_BYTES))
        label = "text/event-stream" if is_stream else MEDIA_TYPES[format_]
        if self._habits.states_rate and label == "audio/pcm":
            label = f"audio/pcm;rate={self._habits.rate_hz};channels=1"
        out = events(pieces, len(body.input), self._habits) if is_stream else pieces
        if fault and fault.name == "error_midstream":
            out = self._broken_off(out, fault)
        return StreamingResponse(out, media_type=self._habits.label or label)

    def _broken_off(self, pieces: Iterator[bytes], fault: ScriptedFault) -> Iterator[bytes]:
        sent_bytes = 0
        for piece in pieces:
            if sent_bytes >= fault.after_bytes:
                break
            yield piece
            sent_bytes += len(piece)
        yield error_event(_scripted_refusal(fault), self._habits)

    def _refusal(self, refusal: RequestRefusal, fault: ScriptedFault | None) -> Response:
        body = self._error_body(refusal)
        if fault and fault.name == "error_in_200":
            return Response(body, media_type="audio/mpeg")
        headers = {"retry-after": fault.retry_after} if fault and fault.retry_after is not None else {}
        is_html = self._habits.error_shape == "html"
        return Response(body, refusal.status, headers, "text/html" if is_html else "application/json")

    def _error_body(self, refusal: RequestRefusal) -> bytes:
        match self._habits.error_shape:
            case "html":
                return b"<html><body><h1>Bad Gateway</h1></body></html>"
            case "fastapi":
                detail = {"error": refusal.code or refusal.kind, "message": refusal.message}
                return msgspec.json.encode({"detail": detail})
            case "bare":
                return msgspec.json.encode({"message": refusal.message, "code": refusal.status})
            case "openai":
                return msgspec.json.encode({"error": envelope(refusal)})


def _check(request: Request, fault: ScriptedFault | None, key_header: str) -> None:
    # Local servers want no key. A server with its own header for the key requires it.
    key = request.headers.get(key_header, "" if key_header == "authorization" else "wrong")
    if key.removeprefix("Bearer ") == "wrong":
        raise RequestRefusal(401, "Incorrect API key provided.", "invalid_api_key")
    if fault and fault.name in ("429", "5xx", "error_in_200"):
        raise _scripted_refusal(fault)


def _scripted_refusal(fault: ScriptedFault) -> RequestRefusal:
    if fault.name == "429":
        code = fault.code or "rate_limit_exceeded"
        kind = "insufficient_quota" if code == "insufficient_quota" else "requests"
        return RequestRefusal(429, "Too much was asked for.", code, kind=kind)
    return RequestRefusal(fault.status, "The server had an error.", fault.code or None, kind="server_error")
