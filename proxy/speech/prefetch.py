"""One part of a text, asked for and read into memory before its turn."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing

from proxy.audio.formats import OUTPUT_RATE_HZ, SAMPLE_BYTES
from proxy.speech.candidate_race import FirstAudio, PartRequest
from proxy.speech.candidate_stream import CandidateStream

MOST_S = 30.0
"""Of a part that is kept in memory; past it the engine waits."""

_MOST_BYTES = round(MOST_S * OUTPUT_RATE_HZ) * SAMPLE_BYTES


class Prefetch:
    """`speaking` is who speaks it, once somebody does; `made` is set when nobody is at it any more."""

    def __init__(self, first_audio: FirstAudio, asked: PartRequest) -> None:
        self.speaking: CandidateStream | None = None
        self.made = asyncio.Event()
        self._first_audio = first_audio
        self._asked = asked
        self._chunks: deque[bytes] = deque()
        self._bytes = 0
        self._has_more = asyncio.Event()
        self._has_room = asyncio.Event()
        self._is_stopped = False
        self._task = asyncio.create_task(self._make())
        self._task.add_done_callback(self._end)

    def __repr__(self) -> str:
        return f"<Prefetch {self.speaking!r}, {self._bytes} bytes>"

    async def begun(self) -> CandidateStream:
        """Returns when there is sound of it; takes none. Raises what its engines did, as `next` does."""
        await self._more()
        if self.speaking is None:
            self._task.result()
        assert self.speaking is not None
        return self.speaking

    async def next(self) -> bytes | None:
        """The next of its 24 kHz PCM, None at its end. May be cancelled, and loses nothing by it."""
        # All of it may be there already: whoever else is served here gets a turn between any two chunks.
        await asyncio.sleep(0)
        if not await self._more():
            self._task.result()
            return None
        pcm = self._chunks.popleft()
        self._bytes -= len(pcm)
        self._has_room.set()
        return pcm

    async def _more(self) -> bool:
        while not self._chunks and not self._task.done():
            self._has_more.clear()
            await self._has_more.wait()
        return bool(self._chunks)

    def stop(self) -> None:
        """Nobody wants any more of it."""
        # Once: a second time would interrupt an engine that is being closed.
        if not self._is_stopped:
            self._is_stopped = True
            self._task.cancel()

    async def close(self) -> None:
        """Leaves nothing running, and no failure that nobody asked for."""
        self.stop()
        await asyncio.wait((self._task,))
        if not self._task.cancelled():
            self._task.exception()

    async def _make(self) -> None:
        speaking = self.speaking = await self._first_audio.of(self._asked)
        try:
            async with aclosing(speaking.chunks()) as chunks:
                async for chunk in chunks:
                    await self._keep(chunk.data)
            await self._keep(speaking.last_chunk().data)
        finally:
            await speaking.close()

    def _end(self, _task: asyncio.Task[None]) -> None:
        self.made.set()
        self._has_more.set()

    async def _keep(self, pcm: bytes) -> None:
        while self._bytes >= _MOST_BYTES:
            self._has_room.clear()
            await self._has_room.wait()
        self._chunks.append(pcm)
        self._bytes += len(pcm)
        self._has_more.set()
