"""The store of clips: files, their index in the database, and a memory in front of both.

A file is served without a look at the database. So its rows are written before it, and a purge deletes the
rows before the files. A recording adds its rows when it begins. It gives them the file's name before the file
gets it, and checks them again afterwards: if a purge deleted the rows in between, the file is removed. A kill
leaves rows without a file or, during a purge, a file without rows. `tidy` removes both.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from operator import attrgetter
from pathlib import Path

import msgspec

from proxy.features.cache import clips
from proxy.features.cache import records as index
from proxy.features.cache.clips import About, Clip, Identity
from proxy.features.cache.records import ClipOwner
from proxy.file_store.folder import BoundedFolder
from proxy.file_store.locked_files import Lock
from proxy.file_store.recording import FileRecording
from proxy.storage.disk_names import DiskName
from proxy.storage.store import StorageFailed, Store

_THREADS = 4
_MEMORY_BYTES = 8_000_000
"""The most bytes of clips in the memory of a worker. Others come from the disk, which the system keeps in
memory itself."""
_UNDER_WAY_US = 60 * 60 * 1_000_000
"""The time in which a recording must end, in microseconds as the store's clock. After it, rows without a file
are stale."""


class ClipRecording(FileRecording):
    """A speech that goes to its client and to the disk. `indexing` ends when the index has its rows."""

    def __init__(
        self,
        lock: Lock,
        folder: BoundedFolder,
        id_: str,
        indexing: asyncio.Task[None],
        report_given_up: Callable[[OSError | None], None],
    ) -> None:
        super().__init__(lock, folder.largest_bytes, folder.threads)
        self.id = id_
        self.indexing = indexing
        self._report_given_up = report_given_up

    def on_given_up(self) -> None:
        self._report_given_up(self.failure)


class ClipStore:
    """The clips of one machine. `folder_id` is the machine's name in the index.

    Methods that await raise OSError, and StorageFailed where they need the index. A disk that hangs blocks
    only this store's threads.
    """

    def __init__(self, root: Path, store: Store, folder_id: str, workers: int) -> None:
        self.threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="cache")
        self.folder = BoundedFolder(root, workers, self.threads)
        # A str, not a Path: most hits are found by the text of the path.
        self.root = str(root)
        self._store = store
        self._folder_id = folder_id
        self._memory = Memory(_MEMORY_BYTES)
        self._unremoved: set[DiskName] = set()

    def __repr__(self) -> str:
        return f"<ClipStore {self.folder!r}, {self._memory!r}>"

    def find_in_memory(self, path: str) -> Clip | None:
        remembered = self._memory.get(path, self.folder.stored_s)
        if remembered is None:
            return None
        if remembered.is_due:
            self.folder.run(partial(clips.touch, path)).add_done_callback(_ignore_failure)
        return remembered.clip

    async def find_clip(self, path: Path) -> Clip | None:
        if (clip := self.find_in_memory(str(path))) is not None:
            return clip
        clip = await self.folder.run_or_undo(partial(clips.load, path, self.folder.valid_since), Clip.close)
        if clip is not None and clip.rest is None:
            self._memory.put(str(path), clip)
        return clip

    def record(
        self, lock: Lock, owner: ClipOwner, report_given_up: Callable[[OSError | None], None]
    ) -> ClipRecording:
        """Begin a recording. The speech does not wait for the index."""
        id_ = secrets.token_hex(12)
        indexing = asyncio.create_task(index.add(self._store, id_, owner, self._folder_id))
        return ClipRecording(lock, self.folder, id_, indexing, report_given_up)

    async def store_clip(self, recording: ClipRecording, about: About, path: Path) -> bool:
        """Store a whole recording. Return False if it was abandoned or purged. The lock is free
        afterwards."""
        is_stored = False
        try:
            await recording.indexing
            await recording.keep_up()
            content = recording.content
            if not recording.is_given_up and await index.give_name(self._store, recording.id, path.name):
                await recording.complete(about.encoded(), path.name)
                if recording.stat is not None:
                    is_stored = await index.is_there(self._store, recording.id)
                if is_stored and content is not None and recording.stat is not None:
                    # The requests that waited for the clip ask for it next.
                    self._memory.put(str(path), Clip(about, content, None, Identity.of(recording.stat)))
        finally:
            await recording.close(keep=is_stored)
            if not is_stored:
                await self._forget(recording)
        return is_stored

    async def drop(self, recording: ClipRecording) -> None:
        await recording.close()
        await recording.indexing
        await self._forget(recording)

    async def release(self, lock: Lock) -> None:
        await self.folder.run(lock.release)

    async def purge(self, delete_rows: Callable[[Store], Awaitable[set[DiskName]]]) -> None:
        """Delete rows and their files. The memory of other workers sees it within a second.

        A file that cannot be removed has no rows any more, so the next purge tries again.
        """
        self._unremoved |= await delete_rows(self._store)
        names = frozenset(self._unremoved)
        try:
            await self.folder.remove(names)
            self._unremoved -= names
        finally:
            # Not before: a request may read a file again while it is being removed.
            self._memory.forget(f"{self.root}/{name}" for name in names)

    def forget_memory(self) -> None:
        self._memory.clear()

    async def tidy(self) -> None:
        """Remove files without rows, and stale rows."""
        # The names are read first: each named file had its rows before its name.
        names = await self.folder.names()
        entries = await index.list_folder(self._store, self._folder_id)
        await self.folder.remove(names - {entry.name for entry in entries})
        long_ago = await self._store.now() - _UNDER_WAY_US
        # A clip that was swept away and recorded again has rows of both recordings.
        newest = {entry.name: entry for entry in sorted(entries, key=attrgetter("began"))}
        stale = [entry for entry in entries if entry.name not in names or newest[entry.name] is not entry]
        await index.forget(self._store, [entry.recording for entry in stale if entry.began < long_ago])

    def close(self) -> None:
        self.threads.shutdown(wait=False, cancel_futures=True)

    async def _forget(self, recording: ClipRecording) -> None:
        try:
            await index.forget(self._store, [recording.id])
        except StorageFailed:
            pass  # `tidy` finds the rows


def _ignore_failure(future: asyncio.Future[None]) -> None:
    """Drop the failure to note a clip's use: its file was swept away in the meantime."""
    if not future.cancelled():
        future.exception()


TRUSTED_S = 1.0
"""How long a look at a file is trusted. A look at every hit would cost a tenth of the hit."""


class _Entry:
    def __init__(self, clip: Clip, now: float) -> None:
        self.clip = clip
        self.touched = now
        # The time of the last look at the file: none yet, since it may have been removed in the meantime.
        self.seen = -math.inf


class Remembered(msgspec.Struct, frozen=True):
    """A clip of the memory. Its use is written to its file if that `is_due`, once a minute."""

    clip: Clip
    is_due: bool


class Memory:
    """A memory in front of the folder. A clip whose file has lost its name soon leaves the memory too, so
    workers that share the folder need not notify one another of removals."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._bytes = 0

    def __repr__(self) -> str:
        return f"<Memory of {len(self._entries)} clips, {self._bytes} bytes>"

    def get(self, path: str, stored_s: float) -> Remembered | None:
        """Return a clip that was stored in the last `stored_s` seconds."""
        entry = self._entries.get(path)
        if entry is None:
            return None
        now = time.monotonic()
        is_there = entry.clip.identity.written_ns >= (time.time() - stored_s) * 1e9
        if is_there and now - entry.seen > TRUSTED_S:
            entry.seen = now
            is_there = entry.clip.identity == clips.identity(path)
        if not is_there:
            self._drop(path)
            return None
        self._entries.move_to_end(path)
        is_due = now - entry.touched > clips.TOUCH_EVERY_S
        if is_due:
            entry.touched = now
        return Remembered(entry.clip, is_due)

    def put(self, path: str, clip: Clip) -> None:
        self._drop(path)
        self._entries[path] = _Entry(clip, time.monotonic())
        self._bytes += len(clip.start)
        while self._bytes > self._most_bytes:
            self._drop(next(iter(self._entries)))

    def forget(self, paths: Iterable[str]) -> None:
        for path in paths:
            self._drop(path)

    def clear(self) -> None:
        self._entries.clear()
        self._bytes = 0

    def _drop(self, path: str) -> None:
        entry = self._entries.pop(path, None)
        if entry is not None:
            self._bytes -= len(entry.clip.start)
