"""The two speeches of the cache: one is recorded while it is taken, one is replayed from a clip."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

from proxy.audio.formats import Chunk
from proxy.speech.cache.clips import Clip
from proxy.speech.cache.flights import Flight
from proxy.speech.cache.shelf import ClipRecording
from proxy.speech.speech import Speech
from proxy.speech.word_times import SpokenWord
from speech_engine import EngineFailed


class RecordedSpeech:
    """A speech whose bytes are recorded as they are taken. It fits `proxy.speech.speech.Speech`."""

    def __init__(self, speech: Speech, recording: ClipRecording, flight: Flight) -> None:
        self.is_whole = False
        self._speech = speech
        self._recording = recording
        self._flight = flight

    @property
    def engine(self) -> str:
        return self._speech.engine

    @property
    def words(self) -> Sequence[SpokenWord] | None:
        return self._speech.words

    @property
    def sample_rate_hz(self) -> int:
        return self._speech.sample_rate_hz

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        async with aclosing(self._speech.chunks()) as chunks:
            async for chunk in chunks:
                self._recording.add(chunk.data)
                with self._flight.held_up():
                    yield chunk

    def last_chunk(self) -> Chunk:
        chunk = self._speech.last_chunk()
        self._recording.add(chunk.data)
        self._flight.hold_up()
        self.is_whole = True
        return chunk

    async def close(self) -> None:
        await self._speech.close()


class Replay:
    """A speech from a clip. It fits `proxy.speech.speech.Speech`. `threads` read what is not in memory."""

    def __init__(self, clip: Clip, threads: ThreadPoolExecutor) -> None:
        self._clip = clip
        self._about = clip.about
        self._threads = threads
        self._at = 0
        self._last = clip.start

    @property
    def engine(self) -> str:
        return self._about.spoken_by

    @property
    def words(self) -> Sequence[SpokenWord] | None:
        return self._about.words

    @property
    def sample_rate_hz(self) -> int:
        return self._about.sample_rate_hz

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        loop = asyncio.get_running_loop()
        while (after := self._at + len(self._last)) < self._about.audio_bytes:
            yield self._chunk(self._last)
            self._at = after
            try:
                self._last = await loop.run_in_executor(self._threads, self._clip.read, after)
            except OSError as error:
                raise EngineFailed(f"A kept answer could not be read: {error.strerror}.") from None

    def last_chunk(self) -> Chunk:
        return self._chunk(self._last)

    async def close(self) -> None:
        self._clip.close()

    def _chunk(self, data: bytes) -> Chunk:
        """Give the bytes their share of the samples. Only the samples of the whole are known."""
        about = self._about
        before, after = (about.samples * at // about.audio_bytes for at in (self._at, self._at + len(data)))
        return Chunk(data, after - before, about.sample_rate_hz)
