"""A stream that is read before its chunks are needed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from proxy.audio.formats import Chunk
from proxy.speech.sound_queue import SoundQueue
from proxy.speech.speech_stream import SpeechStream
from proxy.speech.spill import ReaderPace, SpillRoom

S = TypeVar("S", bound=SpeechStream)


class Prefetch(Generic[S]):
    """A task that begins a stream and reads it ahead, so that its engine never waits.

    A next part is read before its turn, and a slow client's answer while `send` waits. `stream` is set when
    an engine speaks, `finished` when none speaks any more.
    """

    holds_engine = False

    def __init__(
        self, begin: Callable[[], Awaitable[S]], room: SpillRoom, pace: ReaderPace | None = None
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
        return await self._queue.pop()

    def last_chunk(self) -> Chunk:
        return self._last

    async def _wait_for_more(self) -> bool:
        while not self._queue and not self._task.done() and not self._queue.is_broken:
            self._has_more.clear()
            with self._queue.pace.resting():
                await self._has_more.wait()
        self._queue.check()
        return bool(self._queue)

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
