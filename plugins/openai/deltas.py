"""Turn speech that comes as server-sent events into audio bytes.

Several kinds of servers are understood.
"""

from __future__ import annotations

import binascii
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

import msgspec

from plugins.openai import kinds
from plugins.openai.refusals import detail_of, in_band
from speech_engine import EngineError, EngineFailed, HttpAnswer
from speech_engine.event_stream import EventStream

_DONE = b"[DONE]"


class Deltas:
    """The events of one answer.

    `is_done` says that the answer is whole. `units` is the server's own count, or None if it sent none.
    """

    def __init__(self) -> None:
        self.is_done = False
        self.units: float | None = None
        self._stream = EventStream()

    def __repr__(self) -> str:
        return f"<Deltas {'done' if self.is_done else 'going on'}>"

    def feed(self, piece: bytes) -> Iterator[bytes]:
        for data in self._stream.feed(piece):
            yield from self._audio(data)

    def end(self) -> Iterator[bytes]:
        for data in self._stream.flush():
            yield from self._audio(data)
        if not self.is_done:
            raise EngineFailed("The provider's answer ended before it was done.")

    def _audio(self, data: bytes) -> Iterator[bytes]:
        if data == _DONE:
            self.is_done = True
            return
        event = _decoded(data)
        kind = str(event.get("type", ""))
        if event.get("error") or kind.endswith("error"):
            raise in_band(detail_of(event))
        if kind.endswith(".done"):
            self.is_done = True
            self.units = _units(event)
        # OpenAI calls the field `audio`; LiveKit and vLLM-Omni call it `delta`.
        elif (audio := event.get("audio", event.get("delta"))) is not None:
            yield _bytes(audio)


async def audio_of(answer: HttpAnswer, deltas: Deltas) -> AsyncGenerator[bytes, None]:
    """Yield the audio's bytes from an answer of bare bytes or of events.

    Servers do not always send the kind that was requested.
    """
    head = b""
    async with aclosing(answer.pieces()) as pieces:
        async for piece in pieces:
            head += piece
            if len(head) >= kinds.HEAD_BYTES:
                break
        if _are_events(answer, head):
            async with aclosing(_audio_of_events(head, pieces, deltas)) as audio:
                async for data in audio:
                    yield data
            return
        yield head
        async for piece in pieces:
            yield piece


async def _audio_of_events(
    head: bytes, pieces: AsyncGenerator[bytes, None], deltas: Deltas
) -> AsyncGenerator[bytes, None]:
    for audio in deltas.feed(head):
        yield audio
    try:
        async for piece in pieces:
            for audio in deltas.feed(piece):
                yield audio
    except EngineError:
        # Some servers cut the connection after their last event.
        if not deltas.is_done:
            raise
    for audio in deltas.end():
        yield audio


def _are_events(answer: HttpAnswer, head: bytes) -> bool:
    """Return whether the bytes are events. The label counts only if the bytes leave it open."""
    if "event-stream" in answer.headers.get("content-type", ""):
        return not kinds.is_audio(head)
    return kinds.is_events(head)


def _decoded(data: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise EngineFailed("The provider sent an event that is not JSON.") from None


def _bytes(audio: object) -> bytes:
    try:
        return binascii.a2b_base64(audio if isinstance(audio, str) else "-", strict_mode=True)
    except (binascii.Error, ValueError):
        raise EngineFailed("The provider sent an event whose audio is not Base64.") from None


def _units(event: dict[str, Any]) -> float | None:
    usage = event.get("usage", event.get("token_usage"))
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    return float(total) if isinstance(total, (int, float)) else None
