"""The look-up of one request.

It finds a stored clip, a clip that an equal request is making, the right to make a clip, or nothing.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from proxy.features.cache.clip_store import ClipRecording, ClipStore
from proxy.features.cache.clips import About, Clip
from proxy.features.cache.single_flight import Leader, SingleFlight
from proxy.file_store.locked_files import Lock
from proxy.ledger import Spent
from proxy.speech.call import SpeechCall
from proxy.speech.observer import Observer
from proxy.speech.speech_stream import Speech

_LOOK_AGAIN_S = 0.05
"""The pause between looks while another worker speaks. Workers share only the folder."""


class CacheObserver(Observer):
    """Records an answer that is to be stored, and tells the search when its request is over.

    `about` and `speakers` (one for each part) are set once the sound is whole.
    """

    def __init__(
        self,
        call: SpeechCall,
        recording: ClipRecording | None,
        leader: Leader | None,
        on_end: Callable[[CacheObserver, BaseException | None], None],
    ) -> None:
        self.recording = recording
        self.about: About | None = None
        self.speakers: tuple[str, ...] = ()
        self._call = call
        self._leader = leader
        self._on_end = on_end
        self._is_finished = False
        self._speech: Speech | None = None

    def begin(self, speech: Speech) -> None:
        self._speech = speech
        if self._leader is not None and self._call.is_paced:
            # Its client takes the sound as slowly as it plays, so equal requests do not wait for it.
            self._leader.land("alone")

    def chunk(self, data: bytes) -> None:
        """Record the bytes. From now on the flight waits for this client."""
        if self.recording is not None and self._leader is not None:
            self.recording.add(data)
            self._leader.hold_up()

    def taken(self) -> None:
        if self._leader is not None:
            self._leader.resume()

    def settle(self, spent: Spent) -> Spent:
        speech = self._speech
        check = self._call.totals.check
        is_right = check is None or check.is_all_right
        # An answer without spoken parts is free, so it is not stored: a hit has a price.
        if self.recording is not None and speech is not None and spent.parts and is_right:
            words = speech.words
            # A part without a speaker has the name of its first candidate, as in a search.
            parts = self._call.totals.parts
            self.speakers = tuple(run.speaker or run.candidates[0].speaker for run in parts)
            self.about = About(
                spoken_by=speech.engine,
                engine=spent.engine,
                model=spent.model,
                samples=spent.samples,
                sample_rate_hz=speech.sample_rate_hz,
                words=None if words is None else tuple(words),
                audio_bytes=self.recording.size,
                speakers=self.speakers,
            )
        return spent

    def finish(self) -> None:
        self._is_finished = True

    def end(self, error: BaseException | None) -> None:
        if not self._is_finished:
            self.about = None
        self._on_end(self, error)


class CacheSearch:
    """One search. It ends with `clip`, or with `leader` and mostly `lock`, or with nothing.

    In the last case the request is spoken without a cache. If the search is cancelled, its caller releases
    what the search holds.
    """

    def __init__(self, clips: ClipStore, single_flight: SingleFlight, path: Path, patience_s: float) -> None:
        self.path = path
        self.clip: Clip | None = None
        self.leader: Leader | None = None
        self.lock: Lock | None = None
        self._clips = clips
        self._single_flight = single_flight
        self._patience_s = patience_s

    async def run(self) -> None:
        """Search for at most `patience_s` in each step. Raise OSError if the disk fails or is slow.

        The steps are those of the disk, the wait for an equal request, and the wait for another worker.
        """
        self.clip = await self._find(self.path)
        while self.clip is None:
            other = self._single_flight.leader_of(self.path)
            landing = None if other is None else await other.wait(self._patience_s)
            if landing == "alone":
                return
            if landing is not None:
                self.clip = await self._find(self.path if landing == "again" else landing)
            elif self._single_flight.leader_of(self.path) is other:
                self.leader = self._single_flight.start_flight(self.path)
                await self._take_lock(is_held=other is not None)
                return

    async def _take_lock(self, is_held: bool) -> None:
        """Take the lock of the name, or a lock of another name if the right one is held for too long.

        Equal requests in this worker then wait for ours, and do not all speak at once. With `is_held`, an
        earlier leader in this worker still speaks, so the right lock is not tried.
        """
        path, ends = self.path, time.monotonic() + self._patience_s
        while self.lock is None and self.clip is None:
            if is_held or time.monotonic() > ends:
                path = self.path.with_name(f"{self.path.name}-{secrets.token_hex(4)}")
            async with asyncio.timeout(self._patience_s):
                self.lock = await self._clips.folder.lock_file(path)
            # The last owner of the lock may have stored a clip since our last search.
            self.clip = await self._find(self.path)
            if self.lock is None and self.clip is None:
                await asyncio.sleep(_LOOK_AGAIN_S)

    async def _find(self, path: Path) -> Clip | None:
        async with asyncio.timeout(self._patience_s):
            return await self._clips.find_clip(path)
