"""One part of a text, read into memory before its turn."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing

from proxy.audio.formats import OUTPUT_RATE_HZ, SAMPLE_BYTES
from proxy.speech.candidate_race import FirstAudio, PartRequest
from proxy.speech.candidate_stream import CandidateStream

MOST_S = 30.0
"""The most sound of a part to keep in memory. Beyond that, the engine waits."""

_MOST_BYTES = round(MOST_S * OUTPUT_RATE_HZ) * SAMPLE_BYTES


class Prefetch:
    """Reads a part ahead. `stream` is set when an engine speaks, `finished` when none speaks any more."""

    def __init__(self, first_audio: FirstAudio, part_request: PartRequest) -> None:
        self.stream: CandidateStream | None = None
        self.finished = asyncio.Event()
        self._first_audio = first_audio
        self._part_request = part_request
        self._chunks: deque[bytes] = deque()
        self._bytes = 0
        self._has_more = asyncio.Event()
        self._has_room = asyncio.Event()
        self._is_stopped = False
        self._task = asyncio.create_task(self._fetch())
        self._task.add_done_callback(self._end)

    def __repr__(self) -> str:
        return f"<Prefetch {self.stream!r}, {self._bytes} bytes>"

    async def wait_begun(self) -> CandidateStream:
        """Wait for the first sound, but do not take it. Raises what the engines raised."""
        await self._wait_for_more()
        if self.stream is None:
            self._task.result()
        assert self.stream is not None
        return self.stream

    async def next_chunk(self) -> bytes | None:
        """Return the next 24 kHz PCM, or None at the end. If the call is cancelled, no sound is lost."""
        # All chunks may be ready: other requests still get a turn between any two.
        await asyncio.sleep(0)
        if not await self._wait_for_more():
            self._task.result()
            return None
        pcm = self._chunks.popleft()
        self._bytes -= len(pcm)
        self._has_room.set()
        return pcm

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

    async def _fetch(self) -> None:
        stream = self.stream = await self._first_audio.begin(self._part_request)
        try:
            async with aclosing(stream.chunks()) as chunks:
                async for chunk in chunks:
                    await self._keep(chunk.data)
            await self._keep(stream.last_chunk().data)
        finally:
            await stream.close()

    def _end(self, _task: asyncio.Task[None]) -> None:
        self.finished.set()
        self._has_more.set()

    async def _keep(self, pcm: bytes) -> None:
        while self._bytes >= _MOST_BYTES:
            self._has_room.clear()
            await self._has_room.wait()
        self._chunks.append(pcm)
        self._bytes += len(pcm)
        self._has_more.set()
