"""What the cache has to do with one request: a kept answer for it, a place for a new one, or nothing."""

from __future__ import annotations

from typing import Literal

from proxy.ledger import Hold
from proxy.speech.cache.clips import About, Clip
from proxy.speech.cache.flights import Flight
from proxy.speech.cache.recorded import RecordedSpeech
from proxy.speech.cache.recording import ClipRecording
from proxy.speech.speech import Speech

State = Literal["hit", "miss", "off"]


class CacheLookup:
    """`waited_s` is the part of the time to first audio that went by with waiting for an equal request.
    `about` and `speakers`, one for each part, are there once it is known that the sound is to be kept."""

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
        self._recorded: RecordedSpeech | None = None

    def __repr__(self) -> str:
        return f"<CacheLookup: {self.state}>"

    def record(self, speech: Speech) -> Speech:
        """The speech that is to be taken in its place."""
        if self.recording is None or self._flight is None:
            return speech
        self._recorded = RecordedSpeech(speech, self.recording, self._flight)
        return self._recorded

    def keep(self, hold: Hold) -> None:
        """To be called when all of it was taken, and its settlement is on disk."""
        recorded, spent = self._recorded, hold.spent
        if self.recording is None or recorded is None or not recorded.is_whole:
            return
        words = recorded.words
        self.speakers = tuple(part.speaker for part in hold.parts)
        self.about = About(
            spoken_by=recorded.engine,
            engine=spent.engine,
            model=spent.model,
            samples=spent.samples,
            sample_rate_hz=recorded.sample_rate_hz,
            words=None if words is None else tuple(words),
            audio_bytes=self.recording.audio_bytes,
        )


OFF = CacheLookup()
