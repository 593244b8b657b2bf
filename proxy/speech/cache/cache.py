"""The audio cache: what an account was given before, it is given again, and nobody speaks.

Of equal requests one is spoken and the others wait for it; a lock on the disk does the same for the workers
of one machine.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Protocol

import structlog

from policies import caching
from proxy.config.sections import Config
from proxy.errors import RequestFailed
from proxy.speech.cache.clips import Clip
from proxy.speech.cache.disk import Disk
from proxy.speech.cache.flights import Flights, Landed
from proxy.speech.cache.looked import OFF, CacheLookup
from proxy.speech.cache.looking import CacheSearch
from proxy.speech.cache.names import CacheQuestion, Names
from proxy.speech.cache.recording import ClipRecording
from proxy.speech.cache.replay import Replay
from proxy.speech.speech import Speech
from proxy.storage.store import StorageFailed

_MEGABYTE = 1_000_000
_DAY_S = 24 * 60 * 60.0
_END_S = 5.0
_KNOWN_S = 10.0
"""By then every worker has seen that a voice or a word is gone: they look again after five seconds."""

_NOT_LOOKED = nullcontext(OFF)

_log = structlog.get_logger()


class Counts(Protocol):
    """What the operator is told of."""

    def hit(self) -> None: ...

    def missed(self) -> None: ...

    def stored(self) -> None: ...

    def swept(self, evicted: int, left_bytes: int) -> None: ...

    def failed(self) -> None: ...


class Cache:
    """`workers` share the folder and its bound. Where the disk does not do it, requests are spoken as if
    there were no cache; that is said once, until it does again."""

    def __init__(self, disk: Disk, names: Names, counts: Counts, workers: int) -> None:
        self._disk = disk
        self._names = names
        self._counts = counts
        self._workers = workers
        self._flights = Flights()
        self._ending: set[asyncio.Task[None]] = set()
        self._later: set[asyncio.Task[None]] = set()
        self._is_on = False
        self._most_bytes = 0
        self._unswept_bytes = 0
        self._is_failing = False

    def __repr__(self) -> str:
        return f"<Cache up to {self._most_bytes // _MEGABYTE} MB, {self._flights!r}>"

    def revise(self, config: Config) -> None:
        section = config.cache
        self._names.revise(config)
        self._is_on = section.on
        self._most_bytes = section.megabytes * _MEGABYTE
        self._disk.kept_s = section.days * _DAY_S

    def look(self, sought: CacheQuestion, first_audio_s: float) -> AbstractAsyncContextManager[CacheLookup]:
        """What there is for the request. An equal one that is being spoken is waited for, unless it is its
        client who takes his time. What is spoken in the block is kept if it was told so by its end."""
        asked, planned = sought.request.cache, sought.plan.terms.cache
        if not self._most_bytes or not caching.is_wanted(asked, planned, self._is_on):
            return _NOT_LOOKED
        first = [part.candidates[0].model.name for part in sought.plan.parts]
        path = self._disk.path(self._names.shelf(sought), self._names.clip(sought, first))
        if (clip := self._disk.remembered(path)) is not None:
            self._counts.hit()
            return nullcontext(CacheLookup(clip))
        return self._looked(sought, Path(path), caching.patience_s(first_audio_s))

    def replay(self, looked: CacheLookup) -> Speech:
        assert looked.clip is not None
        return Replay(looked.clip, self._disk.threads)

    async def purge_voice(self, account: str | None, voice_id: str) -> None:
        """Nothing spoken by this voice is given out again; with None, whoever's account it was spoken for.
        What is being spoken meanwhile is not kept."""
        await self._purge_twice(self._names.is_of_voice(account, voice_id))

    async def purge_lexicon(self, account: str) -> None:
        """Nothing is given out again in which this account's lexicons, or any others, had a word to say."""
        await self._purge_twice(self._names.is_of_lexicons(account))

    async def purge_account(self, account: str) -> None:
        """Nothing spoken for this account is given out again."""
        await self._purge_twice(self._names.is_of_account(account))

    async def sweep(self) -> None:
        """Room for what comes: each worker adds up to its share of a sixteenth before it looks again."""
        self._unswept_bytes = 0
        try:
            swept = await self._disk.sweep(self._most_bytes * 15 // 16)
        except OSError as error:
            self._tell(error)
        else:
            self._counts.swept(swept.removed, swept.left_bytes)

    async def close(self) -> None:
        for task in self._later:
            task.cancel()
        if self._ending or self._later:
            await asyncio.wait(self._ending | self._later, timeout=_END_S)
        self._disk.close()

    @asynccontextmanager
    async def _looked(
        self, sought: CacheQuestion, path: Path, patience_s: float
    ) -> AsyncIterator[CacheLookup]:
        looking, looked = CacheSearch(self._disk, self._flights, path, patience_s), OFF
        began = time.monotonic()
        try:
            await self._look(looking)
            # Whoever waited longer has half of the time to first audio left all the same.
            waited_s = min(time.monotonic() - began, patience_s)
            looked = CacheLookup(looking.clip, self._recording(looking), looking.flight, waited_s)
            (self._counts.missed if looking.clip is None else self._counts.hit)()
            yield looked
        except (RequestFailed, StorageFailed):
            if looking.flight is not None and looking.flight.age_s > patience_s:
                # What fails slowly would fail each of them in turn.
                looking.flight.land("alone")
            raise
        finally:
            if looking.clip is not None:
                looking.clip.close()
            if looking.flight is not None:
                # Nobody waits for it: neither the client's last bytes, nor whoever is cancelled.
                self._start(self._ending, self._land(looking, looked, sought))

    async def _look(self, looking: CacheSearch) -> None:
        try:
            await looking.look()
        except TimeoutError:
            pass
        except OSError as error:
            self._tell(error)
        if looking.flight is not None and looking.lock is None:
            looking.flight.land("again")

    def _recording(self, looking: CacheSearch) -> ClipRecording | None:
        lock, flight = looking.lock, looking.flight
        if looking.clip is not None or lock is None or flight is None:
            return None

        def given_up(error: OSError | None) -> None:
            was_purged = isinstance(error, FileNotFoundError)
            flight.land("again" if was_purged else "alone")
            if error is not None and not was_purged:
                self._tell(error)

        return ClipRecording(lock, caching.largest(self._most_bytes), self._disk.threads, given_up)

    async def _land(self, looking: CacheSearch, looked: CacheLookup, sought: CacheQuestion) -> None:
        landed: Landed = "again"
        try:
            if looked.recording is not None:
                landed = await self._end(looked.recording, looked, looking, sought)
            elif looking.lock is not None:
                await self._disk.release(looking.lock)
        except OSError as error:
            self._tell(error)
        finally:
            assert looking.flight is not None
            looking.flight.land(landed)
        if self._unswept_bytes > self._most_bytes // 16 // self._workers:
            await self.sweep()

    async def _end(
        self, recording: ClipRecording, looked: CacheLookup, looking: CacheSearch, sought: CacheQuestion
    ) -> Landed:
        """Kept under the name of those who really spoke, which those who wait for it take as well."""
        about, path = looked.about, looking.path
        if about is not None:
            path = path.with_name(self._names.clip(sought, looked.speakers))
        if not await recording.end(about, path.name):
            return "again"
        sound, identity = recording.sound, recording.identity
        if about is not None and sound is not None and identity is not None:
            self._disk.remember(path, Clip(about, sound, None, identity))
        self._is_failing = False
        self._counts.stored()
        self._unswept_bytes += recording.audio_bytes
        return path

    async def _purge(self, is_one: Callable[[str], bool]) -> None:
        try:
            await self._disk.purge(is_one)
        except OSError as error:
            _log.error("cache.purge.failed", reason=error.strerror)

    async def _purge_twice(self, is_one: Callable[[str], bool]) -> None:
        await self._purge(is_one)
        self._start(self._later, self._purge_again(is_one))

    async def _purge_again(self, is_one: Callable[[str], bool]) -> None:
        await asyncio.sleep(_KNOWN_S)
        await self._purge(is_one)

    def _start(self, tasks: set[asyncio.Task[None]], work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def _tell(self, error: OSError) -> None:
        self._counts.failed()
        if not self._is_failing:
            self._is_failing = True
            _log.warning("cache.keep.failed", reason=error.strerror)
