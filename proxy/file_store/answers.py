"""Stored answers to requests with an Idempotency-Key.

A file is valid only if the usage row of its request says `finished`. The file is whole before the settlement
commits, so a kill between the two charges nothing and replays nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Container, Iterable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from functools import partial
from io import BytesIO, FileIO
from pathlib import Path

import msgspec
import structlog

from proxy.file_store import locked_files
from proxy.file_store.folder import BoundedFolder
from proxy.file_store.locked_files import LOCK, PART, Lock
from proxy.file_store.once import Once
from proxy.file_store.recording import FileRecording
from proxy.storage import tombstones, usage
from proxy.storage.store import StorageFailed, Store
from speech_engine.redacted import Redacted

STORED_S = 24 * 60 * 60
_READ_BYTES = 64 * 1024
_MEGABYTE = 1_000_000
_PREFIX_BYTES = 4
_MOST_HEAD_BYTES = 64 * 1024

_log = structlog.get_logger()


class Head(Redacted, msgspec.Struct, frozen=True):
    """The beginning of a file: the request that made the answer, the digest of its body, and its headers.

    `voices` are the voices of accounts in the answer, which may be erased.
    """

    request: str
    digest: bytes
    headers: tuple[tuple[str, str], ...] = ()
    voices: tuple[str, ...] = ()

    def encoded(self) -> bytes:
        head = msgspec.msgpack.encode(self)
        return len(head).to_bytes(_PREFIX_BYTES) + head


class StoredAnswer:
    """A whole answer on the disk. Its owner closes it. `file` stands at the first byte of the answer."""

    def __init__(self, head: Head, file: FileIO, folder: BoundedFolder) -> None:
        self.head = head
        self._file = file
        self._folder = folder

    async def next_chunk(self) -> bytes:
        return await self._folder.run(partial(self._file.read, _READ_BYTES)) or b""

    def close(self) -> None:
        self._file.close()


class AnswerRecording(FileRecording):
    """The copy on the disk of an answer that goes to its client. Set `voices`, then call
    `start_recording`."""

    def __init__(self, lock: Lock | None, head: Head, most_bytes: int, store: Store) -> None:
        super().__init__(lock, most_bytes)
        self.voices: tuple[str, ...] = ()
        self._head = head
        self._store = store

    def start_recording(self, headers: Iterable[tuple[str, str]]) -> None:
        head = msgspec.structs.replace(self._head, headers=tuple(headers), voices=self.voices)
        self.add(head.encoded())

    async def close(self, *, keep: bool = False) -> None:
        """Release the name. The file stays only if it is complete and none of its voices is erased."""
        # The file has its name already, so an erasure that begins now finds it.
        is_stored = keep and (not self.voices or await self._are_voices_there())
        await super().close(keep=is_stored)

    async def _are_voices_there(self) -> bool:
        try:
            return not await tombstones.list_erased(self._store, self.voices)
        except StorageFailed:
            return False

    def on_given_up(self) -> None:
        if self.failure is not None:
            _log.warning("answer.keep.failed", request=self._head.request, reason=self.failure.strerror)


class StoredAnswers:
    """All stored answers of this machine. They are in a folder, and not in memory."""

    def __init__(self, store: Store, root: Path, megabytes: int, workers: int) -> None:
        self._store = store
        self._folder = BoundedFolder(root, workers)
        self._folder.stored_s = STORED_S
        self.limit_to(megabytes)

    @property
    def are_stored(self) -> bool:
        return self._folder.most_bytes > 0

    def limit_to(self, megabytes: int) -> None:
        self._folder.most_bytes = megabytes * _MEGABYTE

    @asynccontextmanager
    async def claim(self, once: Once) -> AsyncIterator[StoredAnswer | AnswerRecording]:
        """Yield the stored answer of a request. If there is none, yield a recording of it, and keep the same
        request from another one until the end of the block.

        Raises RequestUnderWay and IdempotencyKeyReused.
        """
        path = self._folder.root / answer_name(once)
        async with AsyncExitStack() as closing:
            stored = await self._open_stored(path, once)
            if stored is None:
                recording = await self._new_recording(path, once)
                closing.push_async_callback(self._end_recording, recording)
                # Another request may have stored an answer since the first look.
                stored = await self._open_stored(path, once)
            if stored is None:
                yield recording
            else:
                closing.callback(stored.close)
                yield stored

    async def sweep(self) -> None:
        try:
            await self._folder.sweep()
            voices = await self._folder.run(
                lambda: {voice for _, head in _heads(self._folder) for voice in head.voices}
            )
            if erased := await tombstones.list_erased(self._store, voices):
                await self._folder.run(partial(_remove_answers_of, self._folder, erased))
        except OSError as error:
            raise StorageFailed(f"the kept answers cannot be swept: {error.strerror}") from None

    async def remove_voice(self, voice: str, *, is_late: bool) -> None:
        del is_late
        await self._folder.run(partial(_remove_answers_of, self._folder, {voice}))

    async def _open_stored(self, path: Path, once: Once) -> StoredAnswer | None:
        try:
            stored = await self._folder.run_or_undo(partial(_load, path, self._folder), StoredAnswer.close)
        except OSError:
            return None
        if stored is None:
            return None
        with ExitStack() as unless_stored:
            unless_stored.callback(stored.close)
            started = await usage.find_finished(self._store, stored.head.request, once.account)
            if started is None or await self._store.now() - started > STORED_S * 1_000_000:
                return None
            if await tombstones.list_erased(self._store, stored.head.voices):
                return None
            once.check_digest(stored.head.digest)
            unless_stored.pop_all()
            return stored

    async def _new_recording(self, path: Path, once: Once) -> AnswerRecording:
        failure: OSError | None = None
        try:
            lock = await self._folder.lock_file(path)
        except OSError as error:
            lock, failure = None, error
        if lock is None and failure is None:
            raise once.under_way_failure()
        head = Head(once.request, once.digest)
        recording = AnswerRecording(lock, head, self._folder.largest_bytes, self._store)
        if failure is not None:
            recording.give_up(failure)
        return recording

    async def _end_recording(self, recording: AnswerRecording) -> None:
        await recording.close()
        if recording.is_stored and self._folder.count(recording.size):
            try:
                await self.sweep()
            except StorageFailed as error:
                _log.warning("answer.sweep.failed", reason=str(error))


def answer_name(once: Once) -> str:
    """Return the name of an answer. It does not reveal the key, and differs between accounts."""
    return hashlib.sha256(f"{once.account}\0{once.key}".encode()).hexdigest()


def _load(path: Path, folder: BoundedFolder) -> StoredAnswer | None:
    file = locked_files.open_whole(path)
    if file is None:
        return None
    with ExitStack() as unless_ours:
        unless_ours.callback(file.close)
        if (head := read_head(file)) is None:
            return None
        unless_ours.pop_all()
        return StoredAnswer(head, file, folder)


def read_head(file: FileIO | BytesIO) -> Head | None:
    """Return None for a foreign or damaged file. The next answer under its name replaces it."""
    length = int.from_bytes(file.read(_PREFIX_BYTES) or b"")
    if length > _MOST_HEAD_BYTES:
        return None
    try:
        return msgspec.msgpack.decode(file.read(length) or b"", type=Head)
    except msgspec.DecodeError:
        return None


def _heads(folder: BoundedFolder) -> Iterator[tuple[Path, Head]]:
    for name in locked_files.list_names(folder.root):
        if name.endswith((LOCK, PART)):
            continue
        try:
            stored = _load(folder.root / name, folder)
        except OSError:
            continue
        if stored is not None:
            stored.close()
            yield folder.root / name, stored.head


def _remove_answers_of(folder: BoundedFolder, voices: Container[str]) -> None:
    for path, head in _heads(folder):
        if any(voice in voices for voice in head.voices):
            path.unlink(missing_ok=True)
