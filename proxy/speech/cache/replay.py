"""A speech that is replayed from a clip."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from proxy.audio.formats import Chunk
from proxy.speech.cache.clips import Clip
from proxy.speech.word_times import SpokenWord
from speech_engine import EngineFailed


class Replay:
    """A `Speech` from a clip. `threads` read what is not in memory.

    Each chunk of a long clip goes out before the next one is read. The last one waits for the settlement.
    """

    holds_engine = False

    def __init__(self, clip: Clip, threads: ThreadPoolExecutor) -> None:
        self._clip = clip
        self._about = clip.about
        self._threads = threads
        self._at = 0
        self._last = clip.start
        self._is_given = False

    @property
    def engine(self) -> str:
        return self._about.spoken_by

    @property
    def words(self) -> Sequence[SpokenWord] | None:
        return self._about.words

    @property
    def sample_rate_hz(self) -> int:
        return self._about.sample_rate_hz

    async def next_chunk(self) -> Chunk | None:
        if self._is_given:
            self._at += len(self._last)
            try:
                self._last = await asyncio.get_running_loop().run_in_executor(
                    self._threads, self._clip.read, self._at
                )
            except OSError as error:
                raise EngineFailed(f"A kept answer could not be read: {error.strerror}.") from None
        self._is_given = self._at + len(self._last) < self._about.audio_bytes
        return self._chunk(self._last) if self._is_given else None

    def last_chunk(self) -> Chunk:
        return self._chunk(self._last)

    async def close(self) -> None:
        self._clip.close()

    def _chunk(self, data: bytes) -> Chunk:
        """Give the bytes their share of the samples. Only the samples of the whole are known."""
        about = self._about
        before, after = (about.samples * at // about.audio_bytes for at in (self._at, self._at + len(data)))
        return Chunk(data, after - before, about.sample_rate_hz)
