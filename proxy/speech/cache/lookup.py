"""What the cache has for one request: a kept clip, a place for a new one, or nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Literal

from proxy.audio.formats import Chunk
from proxy.ledger import Hold
from proxy.speech.cache.clips import About, Clip
from proxy.speech.cache.flights import Flight
from proxy.speech.cache.shelf import ClipRecording
from proxy.speech.speech import Speech
from proxy.speech.word_times import SpokenWord

State = Literal["hit", "miss", "off"]


class CacheLookup:
    """`waited_s` is the part of the time to first audio that was spent waiting for an equal request.

    `about` and `speakers` (one for each part) are set when it is known that the sound is to be kept.
    """

    def __init__(
        self,
        clip: Clip | None = None,
        recording: ClipRecording | None = None,
        flight: Flight | None = None,
        waited_s: float = 0.0,
    ) -> None:
        self.clip = clip
        self.recording = recording
        self.waited_s = waited_s
        self.state: State = "hit" if clip is not None else "off" if recording is None else "miss"
        self.about: About | None = None
        self.speakers: tuple[str, ...] = ()
        self._flight = flight
        self._speech: RecordedSpeech | None = None

    def __repr__(self) -> str:
        return f"<CacheLookup: {self.state}>"

    def record(self, speech: Speech) -> Speech:
        """Return the speech to use in the place of this one: what is taken from it is recorded."""
        if self.recording is None or self._flight is None:
            return speech
        self._speech = RecordedSpeech(speech, self.recording, self._flight)
        return self._speech

    def keep(self, hold: Hold) -> None:
        """Have the sound kept. Call this when all of it was taken, and its settlement is on disk."""
        speech, spent = self._speech, hold.spent
        if self.recording is None or speech is None or not speech.is_whole:
            return
        words = speech.words
        self.speakers = tuple(part.speaker for part in hold.parts)
        self.about = About(
            spoken_by=speech.engine,
            engine=spent.engine,
            model=spent.model,
            samples=spent.samples,
            sample_rate_hz=speech.sample_rate_hz,
            words=None if words is None else tuple(words),
            audio_bytes=self.recording.size,
        )


OFF = CacheLookup()


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
