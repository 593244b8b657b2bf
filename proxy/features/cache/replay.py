"""A speech that is replayed from a clip."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from proxy.audio.formats import Chunk
from proxy.features.cache.clips import Clip
from proxy.speech.speech_stream import PIECE_BYTES
from speech_engine import EngineFailed


class Replay:
    """A `KeptSpeech` from a clip. `threads` read what is not in memory.

    Each chunk of a long clip goes out before the next one is read. The last one waits for the settlement.
    """

    holds_engine = False

    def __init__(self, clip: Clip, threads: ThreadPoolExecutor) -> None:
        about = clip.about
        self.engine = about.spoken_by
        self.names = about.engine, about.model
        self.speakers = about.speakers
        self.words = about.words
        self.sample_rate_hz = about.sample_rate_hz
        self.size = about.audio_bytes
        self.samples = about.samples
        self.digest = clip.digest
        self._clip = clip
        self._threads = threads
        self._at = 0
        self._last = clip.start[:PIECE_BYTES]
        self._is_given = False

    @property
    def kept(self) -> Replay:
        return self

    async def next_chunk(self) -> Chunk | None:
        if self._is_given:
            self._at += len(self._last)
            self._last = await self.read(self._at, PIECE_BYTES)
        self._is_given = self._at + len(self._last) < self.size
        return self._chunk(self._last) if self._is_given else None

    async def read(self, at: int, count: int) -> bytes:
        """Return so many bytes of the sound from this one on, or what is left. Raises EngineFailed."""
        if self._clip.rest is None:
            return self._clip.start[at : at + count]
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, self._clip.read, at, count)
        except OSError as error:
            raise EngineFailed(f"A kept answer could not be read: {error.strerror}.") from None

    def last_chunk(self) -> Chunk:
        return self._chunk(self._last)

    async def close(self) -> None:
        if self._clip.rest is not None:
            self._clip.close()

    def _chunk(self, data: bytes) -> Chunk:
        """Give the bytes their share of the samples. Only the samples of the whole are known."""
        before, after = self._at, self._at + len(data)
        share = self.samples * after // self.size - self.samples * before // self.size
        return Chunk(data, share, self.sample_rate_hz)
