"""Sound between an engine and a slow client: in memory, and beyond that in a file of its own.

So an engine never waits for a client. All queues of a worker share the room on the disk. When it is used up,
the slowest client's answer breaks off.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any, TypeVar

import structlog

from proxy.audio.formats import Chunk
from proxy.errors import ReaderTooSlow

MEMORY_BYTES = 1024 * 1024
"""The most sound of a queue in memory: 22 seconds of PCM."""

BLOCK_BYTES = 256 * 1024
"""What is written to the file at a time, and read from it."""

_MOST_READ = 4096
"""The most chunks that are read at a time: those of some formats are small."""

_MEGABYTE = 1024 * 1024

_CREDIT_S = 2.0
"""So much sound counts as taken in the first second: a reader that has just begun is not slow yet."""

T = TypeVar("T")

_log = structlog.get_logger()


class ReaderPace:
    """How quickly a client takes the sound that is ready for it: in seconds of sound a second.

    All queues of an answer share one, since the sound of a later part waits for the same client.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._taken_s = 0.0
        self._rested_s = 0.0
        self._rests_since: float | None = None

    def __repr__(self) -> str:
        return f"<ReaderPace {self.value:.2f}>"

    @property
    def value(self) -> float:
        now = self._clock() if self._rests_since is None else self._rests_since
        return (self._taken_s + _CREDIT_S) / (now - self._began - self._rested_s + 1.0)

    def take(self, chunk: Chunk) -> None:
        self._taken_s += chunk.samples / chunk.sample_rate_hz

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Leave out the time of the block: the client waits for us, or shall not have more yet."""
        self._rests_since = self._clock()
        try:
            yield
        finally:
            self._rested_s += self._clock() - self._rests_since
            self._rests_since = None


class SpillRoom:
    """The room on the disk for the sound that slow clients have not taken, for all of one worker.

    The files have no names, so a killed worker leaves none behind.
    """

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.bound(megabytes)
        self._folder = folder
        self._used = 0
        self._queues: dict[SoundQueue, None] = {}

    def __repr__(self) -> str:
        return f"<SpillRoom {self._used} of {self._most_bytes} bytes, {len(self._queues)} files>"

    def bound(self, megabytes: int) -> None:
        self._most_bytes = megabytes * _MEGABYTE

    def open(self, queue: SoundQueue) -> IO[bytes]:
        self._queues[queue] = None
        return tempfile.TemporaryFile(dir=self._folder, buffering=0)

    def take(self, queue: SoundQueue, count: int) -> None:
        """Take room for so many bytes. The slowest clients make it; this one may be among them."""
        while self._used + count > self._most_bytes and not queue.is_broken:
            slowest = min(self._queues, key=lambda each: each.pace.value)
            _log.warning("answer.spill.refused", used=self._used, files=len(self._queues))
            slowest.break_off()
        if not queue.is_broken:
            self._used += count

    def give_back(self, queue: SoundQueue, count: int) -> None:
        self._queues.pop(queue, None)
        self._used -= count


class SoundQueue:
    """Chunks in their order, for one writer and one reader. `on_broken` is called if the room was needed.

    The first chunks lie in memory, the next ones in the file, and the newest wait to be written there.
    """

    def __init__(
        self, room: SpillRoom, on_broken: Callable[[], None], pace: ReaderPace | None = None
    ) -> None:
        self.is_broken = False
        self.pace = pace or ReaderPace()
        self._room = room
        self._on_broken = on_broken
        self._first: deque[Chunk] = deque()
        self._first_bytes = 0
        self._filed: deque[tuple[int, int, int]] = deque()
        self._newest: list[Chunk] = []
        self._newest_bytes = 0
        self._file: IO[bytes] | None = None
        self._file_size = 0
        self._read_to = 0
        # Writer and reader use the file in turn: what is just being written cannot be read.
        self._filing = asyncio.Lock()
        self._at_work: asyncio.Future[Any] | None = None

    def __repr__(self) -> str:
        return (
            f"<SoundQueue {self._first_bytes} bytes in memory, {self._file_size - self._read_to} in a file>"
        )

    def __bool__(self) -> bool:
        return bool(self._first or self._filed or self._newest)

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

    def break_off(self) -> None:
        """Forget all sound, and give the room back: others need it."""
        self.is_broken = True
        self._forget()
        self._on_broken()

    async def close(self) -> None:
        self._forget()
        if self._at_work is not None and not self._at_work.done():
            # A thread still has the file.
            await asyncio.wait((self._at_work,))
        if self._file is not None:
            self._file.close()
            self._file = None

    def check(self) -> None:
        """Raise ReaderTooSlow if the queue was broken off."""
        if self.is_broken:
            raise ReaderTooSlow("The client took its answer too slowly, and there was no room to keep it.")

    async def _write(self) -> None:
        data = b"".join([chunk.data for chunk in self._newest])
        filed = [(len(chunk.data), chunk.samples, chunk.sample_rate_hz) for chunk in self._newest]
        if not data:
            return  # the reader was quicker
        try:
            if self._file is None:
                self._file = self._room.open(self)
            self._room.take(self, len(data))
            self.check()
            file, at = self._file, self._file_size
            self._file_size += len(data)
            await self._in_thread(lambda: _write_all(file, data, at))
        except OSError as error:
            _log.warning("answer.spill.failed", error=type(error).__name__)
            self.break_off()
        self.check()
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
        at, count, file = self._read_to, 0, self._file
        ends = [
            count := count + size for size, _, _ in islice(self._filed, _MOST_READ) if count < BLOCK_BYTES
        ]
        assert file is not None
        data = await self._in_thread(lambda: os.pread(file.fileno(), count, at))
        # Only now: if the reading is cancelled, the sound is still in the file.
        self.check()
        for end in ends:
            size, samples, rate_hz = self._filed.popleft()
            self._first.append(Chunk(data[end - size : end], samples, rate_hz))
        self._first_bytes = count
        self._read_to += count

    def _forget(self) -> None:
        for chunks in (self._first, self._filed, self._newest):
            chunks.clear()
        self._first_bytes = self._newest_bytes = 0
        self._room.give_back(self, self._file_size)
        self._file_size = 0

    async def _in_thread(self, work: Callable[[], T]) -> T:
        self._at_work = future = asyncio.get_running_loop().run_in_executor(None, work)
        # If this call is cancelled, the thread goes on, and `close` waits for it.
        return await asyncio.shield(future)


def _write_all(file: IO[bytes], data: bytes, at: int) -> None:
    rest = memoryview(data)
    while rest:
        count = os.pwrite(file.fileno(), rest, at)
        rest, at = rest[count:], at + count
