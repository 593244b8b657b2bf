"""A speech that is written down as it is taken."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from proxy.audio.formats import Chunk
from proxy.speech.cache.flights import Flight
from proxy.speech.cache.recording import ClipRecording
from proxy.speech.speech import Speech
from proxy.speech.word_times import SpokenWord


class RecordedSpeech:
    """Fits `proxy.speech.speech.Speech`."""

    def __init__(self, speech: Speech, recording: ClipRecording, flight: Flight) -> None:
        self.is_whole = False
        self._speech = speech
        self._recording = recording
        self._flight = flight

    def __repr__(self) -> str:
        return f"<RecordedSpeech {self._speech!r}>"

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
