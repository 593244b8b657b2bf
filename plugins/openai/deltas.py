"""Speech as server-sent events → its bytes, as several kinds of servers write them."""

from __future__ import annotations

import binascii
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

import msgspec

from plugins.openai import kinds
from plugins.openai.refusals import in_band, told_by
from speech_engine import EngineError, EngineFailed, HttpAnswer
from speech_engine.event_stream import EventStream

_DONE = b"[DONE]"


class Deltas:
    """One answer. `units` is what the server counted, if it did; `is_done` says that it is whole."""

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
            raise in_band(told_by(event))
        if kind.endswith(".done"):
            self.is_done = True
            self.units = _units(event)
        # LiveKit's and vLLM-Omni's habit beside OpenAI's own.
        elif (audio := event.get("audio", event.get("delta"))) is not None:
            yield _bytes(audio)


async def audio_of(answer: HttpAnswer, deltas: Deltas) -> AsyncGenerator[bytes, None]:
    """The audio's bytes, be they sent bare or as events: servers do not always what they were asked for."""
    head = b""
    async with aclosing(answer.pieces()) as pieces:
        async for piece in pieces:
            head += piece
            if len(head) >= kinds.HEAD_BYTES:
                break
        if _are_events(answer, head):
            async with aclosing(_told(head, pieces, deltas)) as audio:
                async for data in audio:
                    yield data
            return
        yield head
        async for piece in pieces:
            yield piece


async def _told(
    head: bytes, pieces: AsyncGenerator[bytes, None], deltas: Deltas
) -> AsyncGenerator[bytes, None]:
    for audio in deltas.feed(head):
        yield audio
    try:
        async for piece in pieces:
            for audio in deltas.feed(piece):
                yield audio
    except EngineError:
        # Some servers hang up without ceremony once they are done.
        if not deltas.is_done:
            raise
    for audio in deltas.end():
        yield audio


def _are_events(answer: HttpAnswer, head: bytes) -> bool:
    """The label counts only where the bytes do not speak for themselves."""
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
