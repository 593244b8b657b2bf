"""Keeps frames until the reader takes them: an engine runs ahead of the worker that reads it.

Past its own limit, or that of all spools of the host together, `put` waits, which pauses the engine. The
worker reads on for a slow client, so frames do not stay long.
"""

from __future__ import annotations

import asyncio
from collections import deque

from speech_engine.events import Audio, Encoded
from speech_engine.host.messages import Frame

SPOOL_BYTES = 16 * 1024 * 1024
ROOM_BYTES = 64 * 1024 * 1024
"""Far below the memory of a host: many unread answers must not end it."""


class SpoolQuota:
    """The room that all spools of a host share."""

    def __init__(self, limit_bytes: int = ROOM_BYTES) -> None:
        self._limit = limit_bytes
        self._bytes = 0
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        return f"<SpoolQuota {self._bytes} of {self._limit} bytes>"

    @property
    def is_full(self) -> bool:
        return self._bytes > self._limit

    def take(self, count: int) -> None:
        self._bytes += count

    def give_back(self, count: int) -> None:
        self._bytes -= count
        self._changed.set()

    async def wait(self) -> None:
        """Wait until some spool has given room back."""
        self._changed.clear()
        await self._changed.wait()


class Spool:
    """A spool between one writer and one reader. After `end`, the reader gets the rest, and then None.

    `close` gives back the room of the unread frames.
    """

    def __init__(self, quota: SpoolQuota, limit_bytes: int = SPOOL_BYTES) -> None:
        self._quota = quota
        self._limit = limit_bytes
        self._frames: deque[Frame] = deque()
        self._bytes = 0
        self._has_ended = False
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Spool {len(self._frames)} frames, {self._bytes} bytes>"

    @property
    def is_full(self) -> bool:
        # An empty one takes a frame however full the others are: its reader does not wait for others.
        return self._bytes > self._limit or (self._bytes > 0 and self._quota.is_full)

    async def put(self, frame: Frame) -> None:
        while self.is_full:
            await self._quota.wait()
        self._frames.append(frame)
        self._count(_size(frame))
        self._changed.set()

    def end(self) -> None:
        self._has_ended = True
        self._changed.set()

    async def next_frame(self) -> Frame | None:
        while not self._frames:
            if self._has_ended:
                return None
            self._changed.clear()
            await self._changed.wait()
        frame = self._frames.popleft()
        self._count(-_size(frame))
        return frame

    def close(self) -> None:
        self._frames.clear()
        self._count(-self._bytes)

    def _count(self, change: int) -> None:
        self._bytes += change
        if change > 0:
            self._quota.take(change)
        else:
            self._quota.give_back(-change)


def _size(frame: Frame) -> int:
    match frame:
        case Audio(pcm=data) | Encoded(data=data):
            return len(data)
    return 0
