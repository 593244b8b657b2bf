"""Which answer belongs to a request that carries an Idempotency-Key: one that is kept, or one to be made.

A file is believed only if the usage row of its request says `finished`: the file is whole before the
settlement commits, so a kill between the two charges nothing and replays nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path

import msgspec
import structlog

from proxy.config.sections import Server
from proxy.errors import IdempotencyKeyReused, RequestUnderWay
from proxy.kept import answer_files, kept_files
from proxy.kept.answer_files import Head, StoredAnswer
from proxy.kept.answer_recording import AnswerRecording
from proxy.storage import usage
from proxy.storage.store import Store
from proxy.telemetry import UNWATCHED, RepeatingTask, Watch

KEPT_S = 24 * 60 * 60
_SWEEP_S = 60 * 60.0
_READ_BYTES = 256 * 1024
_MEGABYTE = 1_000_000

_log = structlog.get_logger()


class KeyedRequest(msgspec.Struct, frozen=True):
    """A request that carries a key: who sent which body under it."""

    request: str
    account: str
    key: str
    body: bytes

    def __repr__(self) -> str:
        return f"<KeyedRequest {self.request}>"

    @property
    def name(self) -> str:
        """Of its file. Nobody learns a key from it, and no two accounts share one."""
        return hashlib.sha256(f"{self.account}\0{self.key}".encode()).hexdigest()

    @property
    def head(self) -> Head:
        return Head(self.request, hashlib.sha256(self.body).digest(), ())


class KeptAnswer:
    """A whole answer from before."""

    def __init__(self, found: StoredAnswer) -> None:
        self.headers = found.head.headers
        self._found = found

    def __repr__(self) -> str:
        return f"<KeptAnswer of {self._found.head.request}>"

    async def chunks(self) -> AsyncIterator[bytes]:
        while data := await asyncio.to_thread(self._found.file.read, _READ_BYTES):
            yield data

    def close(self) -> None:
        self._found.file.close()


class KeptAnswers:
    """`workers` share the folder and its bound. Nothing is kept in memory: the folder is all there is."""

    def __init__(self, store: Store, folder: Path, megabytes: int, workers: int) -> None:
        self._store = store
        self._folder = folder
        self._workers = workers
        self._most_bytes = megabytes * _MEGABYTE
        self._unswept_bytes = 0

    def __repr__(self) -> str:
        return f"<KeptAnswers up to {self._most_bytes // _MEGABYTE} MB>"

    @property
    def are_kept(self) -> bool:
        return self._most_bytes > 0

    def bound(self, megabytes: int) -> None:
        self._most_bytes = megabytes * _MEGABYTE

    @asynccontextmanager
    async def claim(self, sent: KeyedRequest) -> AsyncIterator[KeptAnswer | AnswerRecording]:
        """What was answered before; or the right, ours alone until the end of the block, to answer now.

        Raises RequestUnderWay and IdempotencyKeyReused.
        """
        path = self._folder / sent.name
        async with AsyncExitStack() as held:
            kept = await self._kept(path, sent)
            if kept is None:
                recording = await self._recording(path, sent)
                held.push_async_callback(self._end, recording)
                # Whoever held the key until now may have kept its answer since we looked.
                kept = await self._kept(path, sent)
            if kept is None:
                yield recording
            else:
                held.callback(kept.close)
                yield kept

    async def sweep(self) -> None:
        """Room for what comes: each worker adds up to its share of a sixteenth before it looks again."""
        self._unswept_bytes = 0
        try:
            await asyncio.to_thread(
                kept_files.sweep, [self._folder], self._most_bytes * 15 // 16, time.time() - KEPT_S
            )
        except OSError as error:
            _log.warning("answer.sweep.failed", reason=error.strerror)

    async def _kept(self, path: Path, sent: KeyedRequest) -> KeptAnswer | None:
        try:
            found = await asyncio.to_thread(answer_files.find, path)
        except OSError:
            return None
        if found is None:
            return None
        with ExitStack() as unless_kept:
            unless_kept.callback(found.file.close)
            started = await usage.find_finished(self._store, found.head.request, sent.account)
            if started is None or await self._store.now() - started > KEPT_S * 1_000_000:
                return None
            if found.head.digest != sent.head.digest:
                raise IdempotencyKeyReused(
                    "This Idempotency-Key was sent before with another body; a new request needs a new key.",
                    param="Idempotency-Key",
                )
            unless_kept.pop_all()
            return KeptAnswer(found)

    async def _recording(self, path: Path, sent: KeyedRequest) -> AnswerRecording:
        most_bytes = self._most_bytes // 4
        try:
            lock = await asyncio.to_thread(kept_files.take, path)
        except OSError as error:
            recording = AnswerRecording(None, sent.head, most_bytes)
            recording.give_up(error)
            return recording
        if lock is None:
            raise RequestUnderWay(
                "A request with this Idempotency-Key is still under way. Try again when it has ended.",
                param="Idempotency-Key",
            )
        return AnswerRecording(lock, sent.head, most_bytes)

    async def _end(self, recording: AnswerRecording) -> None:
        await recording.close()
        self._unswept_bytes += recording.kept_bytes
        if self._unswept_bytes > self._most_bytes // 16 // self._workers:
            await self.sweep()


@asynccontextmanager
async def open_answers(
    store: Store, data: Path, server: Server, watch: Watch = UNWATCHED
) -> AsyncIterator[KeptAnswers]:
    answers = KeptAnswers(store, data / "idempotency", server.idempotency_mb, server.workers)
    # An answer does not outlive its day on a server that nobody asks anything.
    sweeping = RepeatingTask("sweep of kept answers", answers.sweep, _SWEEP_S, watch)
    try:
        yield answers
    finally:
        await sweeping.close()
