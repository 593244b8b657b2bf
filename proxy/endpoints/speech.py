"""POST /v1/audio/speech: bytes as they come, one WAV with true sizes, server-sent events, or JSON."""

from __future__ import annotations

import base64
import math
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from proxy import wire
from proxy.audio.formats import MEDIA_TYPES
from proxy.audio.wav import wav_header
from proxy.endpoints.connection import Connection
from proxy.endpoints.replies import encode_json
from proxy.errors import UnsupportedMediaType, from_engine
from proxy.pipeline import Answer, Pipeline, Plan
from proxy.wire import SpeechRequest
from speech_engine import EngineError

BUFFERED_WAV_S = 60.0
"""A WAV estimated up to here is sent whole, with true sizes, as players that trust a header need it."""

_NEVER_STORE = (("cache-control", "no-store"), ("x-accel-buffering", "no"))
_TOKENS_A_SECOND = 20


class SpeechEndpoint:
    """An ASGI app of its own: it must see the disconnect, and must be able not to end an answer."""

    def __init__(self, pipeline: Pipeline, defaults: wire.Defaults) -> None:
        self._pipeline = pipeline
        self._defaults = defaults

    def __repr__(self) -> str:
        return f"<SpeechEndpoint {self._pipeline!r}>"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = Connection(scope, receive, send)
        if connection.header(b"content-type").lower().startswith("multipart/"):
            raise UnsupportedMediaType("Send JSON, with content-type: application/json.")
        body = await connection.body(wire.MAX_BODY_BYTES)
        request = wire.parse_speech(body, self._defaults)
        plan = self._pipeline.plan(request)
        write = _WRITERS[request.answer]
        if _is_whole_wav(connection, request, plan):
            write = _write_wav
        state = scope["state"]
        async with connection.watched():
            async with self._pipeline.speech(
                state["request_id"], state["caller"], request, plan, lambda: connection.has_left
            ) as answer:
                await write(connection, request, answer)


def routes(pipeline: Pipeline, defaults: wire.Defaults) -> list[Route]:
    return [Route("/v1/audio/speech", SpeechEndpoint(pipeline, defaults), methods=["POST"])]


def _is_whole_wav(connection: Connection, request: SpeechRequest, plan: Plan) -> bool:
    if request.format != "wav" or request.answer != "audio" or plan.estimated_s > BUFFERED_WAV_S:
        return False
    return connection.header(b"x-stainless-raw-response") != "stream"


def _headers(answer: Answer, media_type: str) -> list[tuple[str, str]]:
    return [
        ("content-type", media_type),
        *_NEVER_STORE,
        ("x-voxgate-engine", answer.speaking.candidate.model.name),
        ("x-voxgate-voice", _in_a_header(answer.plan.voice.id)),
        ("x-voxgate-language", answer.plan.language),
        ("x-voxgate-sample-rate", str(answer.speaking.sample_rate_hz)),
        ("x-voxgate-cache", "off"),
    ]


async def _write_audio(connection: Connection, request: SpeechRequest, answer: Answer) -> None:
    await connection.start(200, _headers(answer, MEDIA_TYPES[request.format]))
    async with aclosing(answer.chunks()) as chunks:
        async for data in chunks:
            await connection.send(data)
    await connection.send(b"", more=False)


async def _write_wav(connection: Connection, request: SpeechRequest, answer: Answer) -> None:
    await _send_whole(connection, answer, MEDIA_TYPES["wav"], await _whole(request, answer))


async def _write_json(connection: Connection, request: SpeechRequest, answer: Answer) -> None:
    audio = await _whole(request, answer)
    body = {
        "audio_base64": base64.b64encode(audio).decode(),
        "audio_format": request.format,
        "duration_seconds": round(answer.seconds, 3),
        "sample_rate": answer.speaking.sample_rate_hz,
        "voice_used": answer.plan.voice.id,
        "model_used": answer.speaking.candidate.model.name,
        "language": answer.plan.language,
        "words": _words(request, answer),
        "usage": _usage(request, answer),
    }
    await _send_whole(connection, answer, "application/json", encode_json(body))


async def _write_events(connection: Connection, request: SpeechRequest, answer: Answer) -> None:
    await connection.start(200, _headers(answer, "text/event-stream; charset=utf-8"))
    try:
        async with aclosing(answer.chunks()) as chunks:
            async for data in chunks:
                audio = base64.b64encode(data).decode()
                await connection.send(_event({"type": "speech.audio.delta", "audio": audio}))
    except EngineError as error:
        await connection.send(_event({"type": "error", **from_engine(error).body()}))
        raise
    await connection.send(_event({"type": "speech.audio.done", "usage": _usage(request, answer)}), more=False)


_Write = Callable[[Connection, SpeechRequest, Answer], Awaitable[None]]
_WRITERS: dict[str, _Write] = {"audio": _write_audio, "sse": _write_events, "json": _write_json}


async def _whole(request: SpeechRequest, answer: Answer) -> bytes:
    async with aclosing(answer.chunks()) as chunks:
        audio = b"".join([data async for data in chunks])
    if request.format == "wav":
        # It began as a stream of unknown length; now the sizes are known, and players trust them.
        audio = wav_header(answer.samples) + audio[len(wav_header(None)) :]
    return audio


async def _send_whole(connection: Connection, answer: Answer, media_type: str, body: bytes) -> None:
    headers = _headers(answer, media_type)
    await connection.start(200, [*headers, ("content-length", str(len(body)))])
    await connection.send(body, more=False)


def _in_a_header(name: str) -> str:
    """Engines name voices as they like; a header takes printable ASCII, and never a line feed."""
    return name if name.isascii() and name.isprintable() else quote(name, safe="/ ")


def _event(value: Any) -> bytes:
    return b"data: " + encode_json(value) + b"\n\n"


def _words(request: SpeechRequest, answer: Answer) -> list[dict[str, Any]] | None:
    if not answer.speaking.candidate.model.info.times_words:
        return None
    return [
        {"word": request.text[word.source_start : word.source_end], **msgspec.structs.asdict(word)}
        for word in answer.speaking.words
    ]


def _usage(request: SpeechRequest, answer: Answer) -> dict[str, Any]:
    """OpenAI counts tokens of its models; these are characters in and a fixed rate out, as documented."""
    spoken, heard = len(request.text), math.ceil(answer.seconds * _TOKENS_A_SECOND)
    return {
        "input_tokens": spoken,
        "output_tokens": heard,
        "total_tokens": spoken + heard,
        "characters": spoken,
        "seconds": round(answer.seconds, 3),
    }
