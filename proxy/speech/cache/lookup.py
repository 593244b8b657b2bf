"""The look-up of one request: how it is done, and what it finds.

It finds a kept clip, the clip that an equal request makes just now, the right to make a clip, or nothing.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Literal

from proxy.kept.locked_files import Lock
from proxy.speech.cache.clips import About, Clip
from proxy.speech.cache.flights import Flight, Flights
from proxy.speech.cache.shelf import ClipRecording, Shelf
from proxy.speech.call import SpeechCall
from proxy.speech.speech_stream import Speech

_LOOK_AGAIN_S = 0.05
"""The pause while another worker speaks: workers share nothing but the folder."""

State = Literal["hit", "miss", "off"]


class CacheLookup:
    """The result of a look-up. `waited_s` is the time that it waited for an equal request.

    A caller leaves it in any case (`with lookup:`). `about` and `speakers` (one for each part) are set as
    soon as the sound is to be kept.
    """

    def __init__(
        self,
        clip: Clip | None = None,
        recording: ClipRecording | None = None,
        flight: Flight | None = None,
        waited_s: float = 0.0,
        on_leave: Callable[[CacheLookup, BaseException | None], None] | None = None,
    ) -> None:
        self.clip = clip
        self.recording = recording
        self.flight = flight
        self.waited_s = waited_s
        self.state: State = "hit" if clip is not None else "off" if recording is None else "miss"
        self.about: About | None = None
        self.speakers: tuple[str, ...] = ()
        self._on_leave = on_leave

    def __repr__(self) -> str:
        return f"<CacheLookup: {self.state}>"

    def __enter__(self) -> CacheLookup:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._on_leave is not None:
            self._on_leave(self, error)

    def record(self, data: bytes) -> None:
        """Record bytes on their way to the client. From now on the flight waits for this client."""
        if self.recording is not None and self.flight is not None:
            self.recording.add(data)
            self.flight.hold_up()

    def resume(self) -> None:
        """Note that the client has taken the bytes."""
        if self.flight is not None:
            self.flight.resume()

    def go_alone(self) -> None:
        """Let equal requests speak for themselves. The sound is recorded, but nobody waits for its end."""
        if self.flight is not None:
            self.flight.land("alone")

    def keep(self, call: SpeechCall, speech: Speech) -> None:
        """Keep the sound. Call this when all of it was recorded, and its settlement is on disk."""
        if self.recording is None:
            return
        words, spent = speech.words, call.tally.spent()
        self.speakers = tuple(run.speaker for run in call.tally.parts)
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


class CacheSearch:
    """One search. It ends with `clip`, or with `flight` and mostly `lock`, or with nothing.

    In the last case the request is spoken as if there were no cache. If the search is cancelled, its caller
    releases what the search holds.
    """

    def __init__(self, shelf: Shelf, flights: Flights, path: Path, patience_s: float) -> None:
        self.path = path
        self.clip: Clip | None = None
        self.flight: Flight | None = None
        self.lock: Lock | None = None
        self._shelf = shelf
        self._flights = flights
        self._patience_s = patience_s

    async def run(self) -> None:
        """Search for at most `patience_s` in each step. Raise OSError if the disk fails or is slow.

        The steps are those of the disk, the wait for an equal request, and the wait for another worker.
        """
        self.clip = await self._find(self.path)
        while self.clip is None:
            other = self._flights.of(self.path)
            landing = None if other is None else await other.wait(self._patience_s)
            if landing == "alone":
                return
            if landing is not None:
                self.clip = await self._find(self.path if landing == "again" else landing)
            elif self._flights.of(self.path) is other:
                self.flight = self._flights.begin(self.path)
                await self._take_lock(is_held=other is not None)
                return

    async def _take_lock(self, is_held: bool) -> None:
        """Take the lock of the name, or a lock of another name if the right one is held for too long.

        Those who wait in this worker then wait for us, and do not all speak at once.
        """
        path, ends = self.path, time.monotonic() + self._patience_s
        while self.lock is None and self.clip is None:
            if is_held or time.monotonic() > ends:
                path = self.path.with_name(f"{self.path.name}-{secrets.token_hex(4)}")
            async with asyncio.timeout(self._patience_s):
                self.lock = await self._shelf.folder.take(path)
            # The last owner of the lock may have kept an answer since our last search.
            self.clip = await self._find(self.path)
            if self.lock is None and self.clip is None:
                await asyncio.sleep(_LOOK_AGAIN_S)

    async def _find(self, path: Path) -> Clip | None:
        async with asyncio.timeout(self._patience_s):
            return await self._shelf.find(path)
