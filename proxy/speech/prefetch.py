"""A stream that is read before its chunks are needed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Generic, TypeVar

from proxy.audio.formats import Chunk
from proxy.speech.speech_stream import SpeechStream
from proxy.speech.spill import ReaderPace, SpillFile, SpillQuota, no_owner

MEMORY_BYTES = 1024 * 1024
"""The most sound of a queue in memory: 22 seconds of PCM."""
CROWDED_BYTES, CROWDED_QUEUE_BYTES = 4 * 1024 * 1024, 64 * 1024
"""While all queues of a worker have more than the first in memory, none takes more there than the second."""
BLOCK_BYTES = 256 * 1024
"""The bytes that are written to the file, or read from it, at a time."""
_MOST_CHUNKS_READ = 4096
"""The most chunks that are read at a time: chunks of some formats are small."""


class SoundQueue:
    """Chunks in order, for one writer and one reader. `on_broken` is called if others need its room.

    The first chunks are in memory, the next ones in the file, and the newest wait to be written there. So an
    engine never waits for a client.
    """

    def __init__(
        self, room: SpillQuota, on_broken: Callable[[], None], pace: ReaderPace | None = None
    ) -> None:
        self._on_broken = on_broken
        self._file = SpillFile(room, self._break_off, pace)
        self.pace = self._file.pace
        self._room = room
        self._memory_bytes = 0
        self._first: deque[Chunk] = deque()
        self._first_bytes = 0
        # The bytes, the samples and the sample rate of each chunk that is in the file.
        self._filed_chunks: deque[tuple[int, int, int]] = deque()
        self._newest: list[Chunk] = []
        self._newest_bytes = 0
        self._read_offset = 0
        # Writer and reader use the file in turn, so the reader never sees a half-written block.
        self._filing = asyncio.Lock()

    def __bool__(self) -> bool:
        return bool(self._first or self._filed_chunks or self._newest)

    @property
    def is_broken(self) -> bool:
        return self._file.is_broken

    async def push(self, chunk: Chunk) -> None:
        """Add a chunk. Raises ReaderTooSlow if there is no room for this queue."""
        self.check_reader()
        if not self._filed_chunks and not self._newest and self._first_bytes < self._most_bytes(MEMORY_BYTES):
            self._first.append(chunk)
            self._first_bytes += len(chunk.data)
            self._count_memory()
            return
        self._newest.append(chunk)
        self._newest_bytes += len(chunk.data)
        self._count_memory()
        if self._newest_bytes >= self._most_bytes(BLOCK_BYTES):
            async with self._filing:
                await self._file_newest()

    async def pop(self) -> Chunk:
        """Return the next chunk; there must be one. Raises ReaderTooSlow if the queue was broken off."""
        if not self._first:
            async with self._filing:
                await self._refill()
        self.check_reader()
        chunk = self.pop_ready()
        assert chunk is not None
        return chunk

    def pop_ready(self) -> Chunk | None:
        """Return the next chunk if it is in memory."""
        if not self._first:
            return None
        chunk = self._first.popleft()
        self._first_bytes -= len(chunk.data)
        self._count_memory()
        self.pace.note_chunk(chunk)
        return chunk

    async def close(self) -> None:
        self._drop_chunks()
        self._on_broken = no_owner
        await self._file.close()

    def check_reader(self) -> None:
        """Raise ReaderTooSlow if the queue was broken off."""
        self._file.check()

    async def _file_newest(self) -> None:
        data = b"".join([chunk.data for chunk in self._newest])
        filed_chunks = [(len(chunk.data), chunk.samples, chunk.sample_rate_hz) for chunk in self._newest]
        if not data:
            return  # the reader has taken them already
        await self._file.append(data)
        self._newest.clear()
        self._newest_bytes = 0
        self._count_memory()
        self._filed_chunks.extend(filed_chunks)

    async def _refill(self) -> None:
        self.check_reader()
        if not self._filed_chunks:
            self._first.extend(self._newest)
            self._first_bytes, self._newest_bytes = self._newest_bytes, 0
            self._newest.clear()
            return
        offset, count, most_bytes = self._read_offset, 0, self._most_bytes(BLOCK_BYTES)
        # The ends of the next chunks within the block that is read, up to the first that passes its size.
        ends = [
            count := count + size
            for size, _, _ in islice(self._filed_chunks, _MOST_CHUNKS_READ)
            if count < most_bytes
        ]
        data = await self._file.read(offset, count)
        # Pop them after the read: if it is cancelled, the sound is still in the file.
        for end in ends:
            size, samples, rate_hz = self._filed_chunks.popleft()
            self._first.append(Chunk(data[end - size : end], samples, rate_hz))
        self._first_bytes = count
        self._count_memory()
        self._read_offset += count

    def _break_off(self) -> None:
        self._drop_chunks()
        self._on_broken()

    def _drop_chunks(self) -> None:
        for chunks in (self._first, self._filed_chunks, self._newest):
            chunks.clear()
        self._first_bytes = self._newest_bytes = 0
        self._count_memory()

    def _most_bytes(self, most: int) -> int:
        return most if self._room.memory_bytes < CROWDED_BYTES else min(most, CROWDED_QUEUE_BYTES)

    def _count_memory(self) -> None:
        bytes_before, self._memory_bytes = self._memory_bytes, self._first_bytes + self._newest_bytes
        self._room.memory_bytes += self._memory_bytes - bytes_before


S = TypeVar("S", bound=SpeechStream)


class Prefetch(Generic[S]):
    """A task that begins a stream and reads it ahead, so that its engine never waits.

    The next part is read before its turn, and the answer of a slow client while `send` waits. `stream` is set
    when an engine speaks, and `finished` when it has ended.
    """

    holds_engine = False

    def __init__(
        self, begin: Callable[[], Awaitable[S]], room: SpillQuota, pace: ReaderPace | None = None
    ) -> None:
        self.stream: S | None = None
        self.finished = asyncio.Event()
        self._queue = SoundQueue(room, self._break_off, pace)
        self._last = Chunk()
        self._has_more = asyncio.Event()
        self._is_stopped = False
        self._task = asyncio.create_task(self._fetch(begin))
        self._task.add_done_callback(self._end)

    async def wait_begun(self) -> S:
        """Wait for the first sound, but do not take it. Raises the error of the engines."""
        await self._wait_for_more()
        if self.stream is None:
            self._task.result()
        assert self.stream is not None
        return self.stream

    async def next_chunk(self) -> Chunk | None:
        """Return the next chunk, or None before the last one. If the call is cancelled, no sound is lost."""
        # All chunks may be ready: other requests get a turn between two chunks.
        await asyncio.sleep(0)
        if not await self._wait_for_more():
            self._task.result()
            return None
        return await self._queue.pop()

    def ready_chunk(self) -> Chunk | None:
        return self._queue.pop_ready()

    def last_chunk(self) -> Chunk:
        return self._last

    async def _wait_for_more(self) -> bool:
        while not self._queue and not self._task.done() and not self._queue.is_broken:
            self._has_more.clear()
            with self._queue.pace.resting():
                await self._has_more.wait()
        self._queue.check_reader()
        return bool(self._queue)

    def stop(self) -> None:
        """Cancel the reading. It returns at once."""
        # Only once: a second time would interrupt the closing of an engine.
        if not self._is_stopped:
            self._is_stopped = True
            self._task.cancel()

    async def close(self) -> None:
        """Stop, and return when the task has ended. A failure that was not raised yet is dropped."""
        self.stop()
        await asyncio.wait((self._task,))
        if not self._task.cancelled():
            self._task.exception()
        await self._queue.close()

    async def _fetch(self, begin: Callable[[], Awaitable[S]]) -> None:
        stream = self.stream = await begin()
        try:
            while (chunk := await stream.next_chunk()) is not None:
                await self._queue.push(chunk)
                self._has_more.set()
            self._last = stream.last_chunk()
        finally:
            await stream.close()

    def _break_off(self) -> None:
        self.stop()
        self._has_more.set()

    def _end(self, _task: asyncio.Task[None]) -> None:
        self.finished.set()
        self._has_more.set()
