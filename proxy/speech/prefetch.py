"""A stream that is read into memory before its chunks are needed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from proxy.audio.formats import OUTPUT_RATE_HZ, SAMPLE_BYTES, Chunk
from proxy.speech.speech_stream import SpeechStream

MOST_BYTES = 16 * 1024 * 1024
"""The most sound of a stream to keep in memory. Beyond that, the engine waits."""

_SPOOLED_BYTES = 30 * OUTPUT_RATE_HZ * SAMPLE_BYTES
"""The same, if a host keeps the rest in its spool."""

S = TypeVar("S", bound=SpeechStream)


class Prefetch(Generic[S]):
    """A task that begins a stream and reads it ahead, so that its engine waits for nobody.

    A next part is read before its turn, and a slow client's answer while `send` waits. `stream` is set when
    an engine speaks, `finished` when none speaks any more.
    """

    holds_engine = False

    def __init__(self, begin: Callable[[], Awaitable[S]]) -> None:
        self.stream: S | None = None
        self.finished = asyncio.Event()
        self._chunks: deque[Chunk] = deque()
        self._last = Chunk()
        self._bytes = 0
        self._has_more = asyncio.Event()
        self._has_room = asyncio.Event()
        self._is_stopped = False
        self._task = asyncio.create_task(self._fetch(begin))
        self._task.add_done_callback(self._end)

    def __repr__(self) -> str:
        return f"<Prefetch {self.stream!r}, {self._bytes} bytes>"

    async def wait_begun(self) -> S:
        """Wait for the first sound, but do not take it. Raises what the engines raised."""
        await self._wait_for_more()
        if self.stream is None:
            self._task.result()
        assert self.stream is not None
        return self.stream

    async def next_chunk(self) -> Chunk | None:
        """Return the next chunk, or None before the last one. If the call is cancelled, no sound is lost."""
        # All chunks may be ready: other requests still get a turn between any two.
        await asyncio.sleep(0)
        if not await self._wait_for_more():
            self._task.result()
            return None
        chunk = self._chunks.popleft()
        self._bytes -= len(chunk.data)
        self._has_room.set()
        return chunk

    def last_chunk(self) -> Chunk:
        return self._last

    async def _wait_for_more(self) -> bool:
        while not self._chunks and not self._task.done():
            self._has_more.clear()
            await self._has_more.wait()
        return bool(self._chunks)

    def stop(self) -> None:
        """Cancel the reading. It returns at once."""
        # Only once: a second time would interrupt the closing of an engine.
        if not self._is_stopped:
            self._is_stopped = True
            self._task.cancel()

    async def close(self) -> None:
        """Stop, and return when nothing runs any more. A failure that no caller has read is dropped."""
        self.stop()
        await asyncio.wait((self._task,))
        if not self._task.cancelled():
            self._task.exception()

    async def _fetch(self, begin: Callable[[], Awaitable[S]]) -> None:
        stream = self.stream = await begin()
        most_bytes = MOST_BYTES if stream.holds_engine else _SPOOLED_BYTES
        try:
            while (chunk := await stream.next_chunk()) is not None:
                while self._bytes >= most_bytes:
                    self._has_room.clear()
                    await self._has_room.wait()
                self._chunks.append(chunk)
                self._bytes += len(chunk.data)
                self._has_more.set()
            self._last = stream.last_chunk()
        finally:
            await stream.close()

    def _end(self, _task: asyncio.Task[None]) -> None:
        self.finished.set()
        self._has_more.set()
