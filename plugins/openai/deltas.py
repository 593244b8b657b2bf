"""Turn speech that comes as server-sent events of several kinds of servers into audio bytes."""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from plugins.openai import kinds
from plugins.openai.refusals import detail_of, error_in_place_of_audio
from speech_engine import EngineError, EngineFailed, HttpAnswer
from speech_engine.cloud import EventStream, decoded

_DONE = b"[DONE]"


class Deltas:
    """The events of one answer.

    `is_done` says that the answer is whole. `units` is the server's own count, or None if it sent none.
    """

    def __init__(self) -> None:
        self.is_done = False
        self.units: float | None = None
        self._stream = EventStream()

    def feed(self, piece: bytes) -> Iterator[bytes]:
        for data in self._stream.feed(piece):
            yield from self._read_event(data)

    def end(self) -> Iterator[bytes]:
        for data in self._stream.flush():
            yield from self._read_event(data)
        if not self.is_done:
            raise EngineFailed("The provider's answer ended before it was done.")

    def _read_event(self, data: bytes) -> Iterator[bytes]:
        if data == _DONE:
            self.is_done = True
            return
        event = decoded(dict[str, Any], data, "The provider sent an event that is not JSON.")
        kind = str(event.get("type", ""))
        if event.get("error") or kind.endswith("error"):
            raise error_in_place_of_audio(detail_of(event))
        if kind.endswith(".done"):
            self.is_done = True
            usage = event.get("usage", event.get("token_usage"))
            total = usage.get("total_tokens") if isinstance(usage, dict) else None
            self.units = float(total) if isinstance(total, (int, float)) else None
        # OpenAI calls the field `audio`; LiveKit and vLLM-Omni call it `delta`, and Mistral `audio_data`.
        elif (audio := event.get("audio", event.get("delta", event.get("audio_data")))) is not None:
            # SGLang-Omni sends an object with its `data`.
            yield audio_bytes(audio.get("data") if isinstance(audio, dict) else audio)


class AudioBody:
    """The audio in one answer, which has bare bytes or events.

    Servers do not always send the kind that was requested. `is_over` says that all bytes have come.
    """

    def __init__(self, answer: HttpAnswer) -> None:
        self.is_over = False
        self._answer = answer
        self._head = b""
        self._is_known = False
        self._deltas: Deltas | None = None

    @property
    def units(self) -> float | None:
        return None if self._deltas is None else self._deltas.units

    async def next_audio(self) -> Iterable[bytes]:
        """Return the audio in the next bytes, to be read before the next call."""
        try:
            piece = await self._answer.next_piece()
        except EngineError:
            # Some servers cut the connection after their last event.
            if self._deltas is None or not self._deltas.is_done:
                raise
            piece = b""
        self.is_over = not piece
        if not self._is_known:
            self._head += piece
            if not self.is_over and len(self._head) < kinds.HEAD_BYTES:
                return ()
            self._is_known = True
            piece = self._head
            # The label counts only if the bytes may be both.
            is_labelled = "event-stream" in self._answer.headers.get("content-type", "")
            has_events = not kinds.is_audio(piece) if is_labelled else kinds.is_events(piece)
            if has_events:
                self._deltas = Deltas()
        if self._deltas is None:
            return (piece,) if piece else ()
        audio = self._deltas.feed(piece)
        return chain(audio, self._deltas.end()) if self.is_over else audio


def audio_bytes(audio: object) -> bytes:
    """Return the audio that an event has in Base64. Raise EngineFailed."""
    try:
        return binascii.a2b_base64(audio if isinstance(audio, str) else "-", strict_mode=True)
    except (binascii.Error, ValueError):
        raise EngineFailed("The provider sent an event whose audio is not Base64.") from None
