"""Sound between an engine and a slow client: in memory, and beyond that in a file of its own.

So an engine never waits for a client.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import islice

from proxy.audio.formats import Chunk
from proxy.speech.spill import ReaderPace, SpillFile, SpillRoom

MEMORY_BYTES = 1024 * 1024
"""The most sound of a queue in memory: 22 seconds of PCM."""

BLOCK_BYTES = 256 * 1024
"""What is written to the file at a time, and read from it."""

_MOST_READ = 4096
"""The most chunks that are read at a time: those of some formats are small."""


class SoundQueue:
    """Chunks in their order, for one writer and one reader. `on_broken` is called if the room was needed.

    The first chunks lie in memory, the next ones in the file, and the newest wait to be written there.
    """

    def __init__(
        self, room: SpillRoom, on_broken: Callable[[], None], pace: ReaderPace | None = None
    ) -> None:
        self._on_broken = on_broken
        self._file = SpillFile(room, self._break_off, pace)
        self.pace = self._file.pace
        self._first: deque[Chunk] = deque()
        self._first_bytes = 0
        self._filed: deque[tuple[int, int, int]] = deque()
        self._newest: list[Chunk] = []
        self._newest_bytes = 0
        self._read_to = 0
        # Writer and reader use the file in turn: what is just being written cannot be read.
        self._filing = asyncio.Lock()

    def __bool__(self) -> bool:
        return bool(self._first or self._filed or self._newest)

    @property
    def is_broken(self) -> bool:
        return self._file.is_broken

    async def push(self, chunk: Chunk) -> None:
        """Add a chunk. Raises ReaderTooSlow if there is no room for this queue."""
        self.check()
        if not self._filed and not self._newest and self._first_bytes < MEMORY_BYTES:
            self._first.append(chunk)
            self._first_bytes += len(chunk.data)
            return
        self._newest.append(chunk)
        self._newest_bytes += len(chunk.data)
        if self._newest_bytes >= BLOCK_BYTES:
            async with self._filing:
                await self._write()

    async def pop(self) -> Chunk:
        """Return the next chunk; there must be one. Raises ReaderTooSlow if the queue was broken off."""
        if not self._first:
            async with self._filing:
                await self._read()
        self.check()
        chunk = self._first.popleft()
        self._first_bytes -= len(chunk.data)
        self.pace.take(chunk)
        return chunk

    async def close(self) -> None:
        self._forget()
        await self._file.close()

    def check(self) -> None:
        """Raise ReaderTooSlow if the queue was broken off."""
        self._file.check()

    async def _write(self) -> None:
        data = b"".join([chunk.data for chunk in self._newest])
        filed = [(len(chunk.data), chunk.samples, chunk.sample_rate_hz) for chunk in self._newest]
        if not data:
            return  # the reader was quicker
        await self._file.append(data)
        self._newest.clear()
        self._newest_bytes = 0
        self._filed.extend(filed)

    async def _read(self) -> None:
        self.check()
        if not self._filed:
            self._first.extend(self._newest)
            self._first_bytes, self._newest_bytes = self._newest_bytes, 0
            self._newest.clear()
            return
        at, count = self._read_to, 0
        ends = [
            count := count + size for size, _, _ in islice(self._filed, _MOST_READ) if count < BLOCK_BYTES
        ]
        data = await self._file.read(at, count)
        # Only now: if the reading is cancelled, the sound is still in the file.
        for end in ends:
            size, samples, rate_hz = self._filed.popleft()
            self._first.append(Chunk(data[end - size : end], samples, rate_hz))
        self._first_bytes = count
        self._read_to += count

    def _break_off(self) -> None:
        self._forget()
        self._on_broken()

    def _forget(self) -> None:
        for chunks in (self._first, self._filed, self._newest):
            chunks.clear()
        self._first_bytes = self._newest_bytes = 0
