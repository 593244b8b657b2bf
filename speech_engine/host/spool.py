"""Keeps frames until the reader takes them: a slow client must never hold an engine's slot.

The engine runs ahead into the spool; past its limit `put` waits, which pauses the engine.
"""

from __future__ import annotations

import asyncio
from collections import deque

from speech_engine.events import Audio, Encoded
from speech_engine.host.messages import Frame

SPOOL_BYTES = 16 * 1024 * 1024


class Spool:
    """A spool between one writer and one reader. After `end`, the reader gets the rest, and then None."""

    def __init__(self, limit_bytes: int = SPOOL_BYTES) -> None:
        self._limit = limit_bytes
        self._frames: deque[Frame] = deque()
        self._bytes = 0
        self._ended = False
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Spool {len(self._frames)} frames, {self._bytes} bytes>"

    @property
    def is_full(self) -> bool:
        return self._bytes > self._limit

    async def put(self, frame: Frame) -> None:
        while self.is_full:
            self._changed.clear()
            await self._changed.wait()
        self._frames.append(frame)
        self._bytes += _size(frame)
        self._changed.set()

    def end(self) -> None:
        self._ended = True
        self._changed.set()

    async def next_frame(self) -> Frame | None:
        while not self._frames:
            if self._ended:
                return None
            self._changed.clear()
            await self._changed.wait()
        frame = self._frames.popleft()
        self._bytes -= _size(frame)
        self._changed.set()
        return frame


def _size(frame: Frame) -> int:
    match frame:
        case Audio(pcm=data) | Encoded(data=data):
            return len(data)
    return 0
