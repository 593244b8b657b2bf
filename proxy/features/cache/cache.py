"""The audio cache: an account gets the same clip again, and no engine speaks.

One of several equal requests is spoken, and the others wait for it. A lock on the disk does the same for the
workers of one machine.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from policies.plans import Terms
from proxy.audio.formats import Chunk
from proxy.config.sections import Config
from proxy.errors import RequestFailed
from proxy.features.cache import records as index
from proxy.features.cache import rules
from proxy.features.cache.clip_store import ClipRecording, ClipStore
from proxy.features.cache.clips import Clip
from proxy.features.cache.lookup import CacheObserver, CacheSearch
from proxy.features.cache.names import CacheQuestion, ClipNames
from proxy.features.cache.section import SECTION
from proxy.features.cache.single_flight import Landing, SingleFlight
from proxy.file_store import locked_files
from proxy.speech.call import SpeechCall
from proxy.speech.planning import SpeechPlan
from proxy.speech.source import LookUp
from proxy.speech.speech_request import SpeechRequest
from proxy.speech.speech_stream import PIECE_BYTES
from proxy.storage.disk_names import DiskName
from proxy.storage.store import StorageFailed, Store
from proxy.telemetry.background import RepeatingTask
from proxy.telemetry.metrics import Metrics, PlainCounter
from speech_engine import EngineFailed

_MEGABYTE = 1_000_000
_DAY_S = 24 * 60 * 60.0
_SWEEP_S = 60 * 60.0
_CLOSE_WITHIN_S = 5.0
_SPREAD_S = 10.0
"""After this time every worker knows that a voice or a lexicon entry is deleted. Workers read both every five
seconds."""

_NOTHING = LookUp()

_log = structlog.get_logger()

_Purge = Callable[[Store], Awaitable[set[DiskName]]]


class CacheMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.lookups = PlainCounter(
            "voxgate_cache_lookups", "Requests that may be kept.", ["found"], registry=registry
        )
        self.lookups.counts.update({("hit",): 0.0, ("miss",): 0.0})
        self.stores = Counter("voxgate_cache_stores", "Answers kept.", registry=registry)
        self.evictions = Counter(
            "voxgate_cache_evictions", "Kept answers removed for their age or for room.", registry=registry
        )
        self.failures = Counter(
            "voxgate_cache_failures", "Reads and writes of the cache that failed.", registry=registry
        )
        self.bytes = Gauge(
            "voxgate_cache_bytes", "Size of the kept answers when last looked at.", registry=registry
        )


class Cache:
    """The cache of one worker. If the disk or the index fails, requests are spoken without a cache.

    A failure is logged once, until a clip is stored again. Each failed purge is logged.
    """

    def __init__(self, clips: ClipStore, names: ClipNames, metrics: CacheMetrics) -> None:
        self._clips = clips
        self._names = names
        self._metrics = metrics
        self._single_flight = SingleFlight()
        self._landing_tasks: set[asyncio.Task[None]] = set()
        self._second_purges: set[asyncio.Task[None]] = set()
        self._is_on = False
        self._is_failing = False

    def __repr__(self) -> str:
        return f"<Cache of {self._clips!r}, {self._single_flight!r}>"

    def revise(self, config: Config) -> None:
        section = SECTION.of(config)
        self._names.revise(config)
        self._is_on = section.on
        self._clips.folder.most_bytes = section.megabytes * _MEGABYTE
        self._clips.folder.stored_s = section.days * _DAY_S

    def is_used(self, request: SpeechRequest, terms: Terms) -> bool:
        """Tell whether this request may be answered from the cache, and its answer stored."""
        if not self._clips.folder.most_bytes:
            return False
        return rules.uses_cache(request.cache, terms.cache, self._is_on)

    def name_without_text(self, account: str, request: SpeechRequest, plan: SpeechPlan) -> bytes:
        """Return what names the clip besides its text, if the first candidates speak."""
        speakers = [part.candidates[0].speaker for part in plan.parts]
        return self._names.without_text(CacheQuestion(account, request, plan), speakers)

    def path(self, name_without_text: bytes, text: str) -> str:
        return f"{self._clips.root}/{self._names.with_text(name_without_text, text)}"

    async def look_up(self, call: SpeechCall, first_audio_s: float) -> LookUp:
        """Look up the clip of a call. If the observer sees a whole answer, its sound is stored.

        If an equal request is being spoken, this waits for its end, unless that one waits for its own client.
        """
        if call.clip is None:  # this request may not use the cache
            return _NOTHING
        if (clip := self._clips.find_in_memory(call.clip)) is not None:
            self._metrics.lookups.counts[("hit",)] += 1
            return LookUp(Replay(clip, self._clips.threads), state="hit")
        question = CacheQuestion(call.caller.account, call.request, call.plan)
        return await self._search(call, question, rules.patience_s(first_audio_s))

    async def purge_voice(self, account: str | None, voice_id: str) -> None:
        """Delete the account's clips by this voice, and do not store speech that is under way.

        Without an account, the clips of all accounts are deleted.
        """
        await self._purge_twice(lambda store: index.purge_voice(store, account, voice_id))

    def forget_voice(self, voice: str, digests: Collection[str]) -> None:
        """Forget all clips in memory, not only those by this voice: an erasure is rare."""
        del voice, digests
        self._clips.forget_memory()

    async def remove_voice(self, voice: str, *, is_late: bool) -> None:
        """Remove all clips of an erased voice. Raises OSError, StorageFailed.

        Recordings under way are not stored: see `_IS_ERASED` in records.py. With `is_late`, files may exist
        whose rows are gone.
        """
        await self._clips.purge(lambda store: index.purge_voice(store, None, voice))
        if is_late:
            await self._clips.tidy()

    async def purge_lexicon(self, account: str) -> None:
        """Delete the clips of the account that were spoken with a lexicon."""
        await self._purge_twice(lambda store: index.purge_lexicons(store, account))

    async def purge_account(self, account: str) -> None:
        await self._purge_twice(lambda store: index.purge_account(store, account))

    async def sweep(self) -> None:
        """Remove the clips that are too old, and make room for new ones."""
        try:
            removed, left_bytes = await self._clips.folder.sweep(by_use=True)
        except OSError as error:
            self._note_failure(error)
        else:
            self._metrics.evictions.inc(removed)
            self._metrics.bytes.set(left_bytes)

    async def tidy(self) -> None:
        await self.sweep()
        try:
            await self._clips.tidy()
        except OSError as error:
            self._note_failure(error)

    async def aclose(self) -> None:
        # No request makes the names that a second purge would find. The sweep removes those clips by age.
        for task in self._second_purges:
            task.cancel()
        if self._landing_tasks or self._second_purges:
            await asyncio.wait(self._landing_tasks | self._second_purges, timeout=_CLOSE_WITHIN_S)
        self._clips.close()

    async def _search(self, call: SpeechCall, question: CacheQuestion, patience_s: float) -> LookUp:
        search = CacheSearch(self._clips, self._single_flight, Path(call.clip or ""), patience_s)
        began = time.monotonic()
        try:
            await self._run_search(search)
            recording = self._record(search, question)
        except BaseException:
            self._release(search, None, question)
            raise
        # The wait counts for at most half of the time to first audio. The other half is left for speaking.
        waited_s = min(time.monotonic() - began, patience_s)

        def on_end(observer: CacheObserver, error: BaseException | None) -> None:
            leader = search.leader
            is_failure = isinstance(error, RequestFailed | StorageFailed)
            if is_failure and leader is not None and leader.age_s > patience_s:
                # Otherwise the waiting requests would lead and fail one after the other, each as slowly.
                leader.land("alone")
            self._release(search, observer, question)

        self._metrics.lookups.counts[("miss" if search.clip is None else "hit",)] += 1
        observer = CacheObserver(call, recording, search.leader, on_end)
        if search.clip is not None:
            return LookUp(Replay(search.clip, self._clips.threads), observer, "hit", waited_s)
        # "off": it was not found, and cannot be stored.
        return LookUp(None, observer, "off" if recording is None else "miss", waited_s)

    def _release(self, search: CacheSearch, observer: CacheObserver | None, question: CacheQuestion) -> None:
        if search.clip is not None:
            # `Replay` may have closed it already, which does no harm.
            search.clip.close()
        if search.leader is not None:
            # This is a task, so that the client's last bytes and a cancelled request need not wait for it.
            self._start(self._landing_tasks, self._land(search, observer, question))

    async def _run_search(self, search: CacheSearch) -> None:
        try:
            await search.run()
        except TimeoutError:
            # The disk is slow: the request is spoken without the cache.
            pass
        except OSError as error:
            self._note_failure(error)
        if search.leader is not None and search.lock is None:
            # Without the lock this answer cannot be stored, so a waiting request leads next.
            search.leader.land("again")

    def _record(self, search: CacheSearch, question: CacheQuestion) -> ClipRecording | None:
        """Begin to record the answer. None: it cannot be stored."""
        lock, leader = search.lock, search.leader
        if search.clip is not None or lock is None or leader is None:
            return None

        def stop_recording(error: OSError | None) -> None:
            leader.land("alone")
            if error is not None:
                self._note_failure(error)

        return self._clips.record(lock, question.owner, stop_recording)

    async def _land(
        self, search: CacheSearch, observer: CacheObserver | None, question: CacheQuestion
    ) -> None:
        """Store the clip of an ended answer, or release the lock. Then end the flight."""
        landing: Landing = "again"
        recording = None if observer is None else observer.recording
        try:
            if observer is not None and recording is not None:
                landing = await self._store_clip(recording, observer, search.path, question)
            elif search.lock is not None:
                await self._clips.release(search.lock)
        except (OSError, StorageFailed) as error:
            self._note_failure(error)
        finally:
            assert search.leader is not None
            search.leader.land(landing)
        if recording is not None and recording.is_stored and self._clips.folder.count(recording.size):
            await self.sweep()

    async def _store_clip(
        self, recording: ClipRecording, observer: CacheObserver, path: Path, question: CacheQuestion
    ) -> Landing:
        if observer.about is None:
            await self._clips.drop(recording)
            return "again"
        # Another candidate may have spoken, so the clip is named by the candidates that did.
        path = path.with_name(self._names.clip_name(question, observer.speakers))
        if not await self._clips.store_clip(recording, observer.about, path):
            return "again"
        self._is_failing = False
        self._metrics.stores.inc()
        return path

    async def _purge_twice(self, purge: _Purge) -> None:
        """Purge now, and once more when no worker begins a clip of what is deleted any more."""
        await self._purge(purge)
        self._start(self._second_purges, self._purge_again(purge))

    async def _purge_again(self, purge: _Purge) -> None:
        await asyncio.sleep(_SPREAD_S)
        await self._purge(purge)

    async def _purge(self, purge: _Purge) -> None:
        try:
            await self._clips.purge(purge)
        except (OSError, StorageFailed) as error:
            _log.error("cache.purge.failed", reason=_reason(error))

    def _start(self, tasks: set[asyncio.Task[None]], work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def _note_failure(self, error: OSError | StorageFailed) -> None:
        self._metrics.failures.inc()
        if not self._is_failing:
            self._is_failing = True
            _log.warning("cache.keep.failed", reason=_reason(error))


@asynccontextmanager
async def open_cache(
    config: Config,
    store: Store,
    front_end_revision: Callable[[str], str],
    metrics: Metrics,
) -> AsyncIterator[Cache]:
    data = Path(config.data)
    names = ClipNames(await _read_secret(data / "cache-key"), front_end_revision)
    cache = Cache(
        ClipStore(data / "cache", store, names.folder_id, config.server.workers),
        names,
        CacheMetrics(metrics.registry),
    )
    cache.revise(config)
    # The sweep runs at once and every hour. So old clips go even if no request comes.
    sweeping = RepeatingTask("sweep of the audio cache", cache.tidy, _SWEEP_S, metrics, tidies=True)
    async with aclosing(cache), aclosing(sweeping):
        yield cache


async def _read_secret(file: Path) -> bytes:
    try:
        return await asyncio.to_thread(locked_files.ensure_secret, file, is_cheap=True)
    except OSError as error:
        _log.warning("cache.secret.failed", reason=error.strerror)
        # The clips of this worker are then found by no other worker, and by no later start.
        return locked_files.new_secret()


def _reason(error: OSError | StorageFailed) -> str | None:
    return error.strerror if isinstance(error, OSError) else str(error)


class Replay:
    """A `StoredSpeech` from a clip. `threads` read the part that is not in memory.

    Each chunk of a long clip goes out before the next one is read. The last one waits for the settlement.
    """

    holds_engine = False

    def __init__(self, clip: Clip, threads: ThreadPoolExecutor) -> None:
        about = clip.about
        # `Speech.engine` is `engine/model`.
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
        self._piece = clip.start[:PIECE_BYTES]
        self._piece_was_sent = False

    @property
    def stored(self) -> Replay:
        return self

    async def next_chunk(self) -> Chunk | None:
        if self._piece_was_sent:
            self._at += len(self._piece)
            self._piece = await self.read(self._at, PIECE_BYTES)
        self._piece_was_sent = self._at + len(self._piece) < self.size
        return self.last_chunk() if self._piece_was_sent else None

    async def read(self, offset: int, count: int) -> bytes:
        """Return `count` bytes of the sound from `offset` on, or the rest. Raises EngineFailed."""
        if self._clip.rest is None:
            return self._clip.start[offset : offset + count]
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, self._clip.read, offset, count)
        except OSError as error:
            raise EngineFailed(f"A kept answer could not be read: {error.strerror}.") from None

    def last_chunk(self) -> Chunk:
        """Give the bytes their share of the samples. Only the samples of the whole are known."""
        before, after = self._at, self._at + len(self._piece)
        share = self.samples * after // self.size - self.samples * before // self.size
        return Chunk(self._piece, share, self.sample_rate_hz)

    async def close(self) -> None:
        if self._clip.rest is not None:
            self._clip.close()
