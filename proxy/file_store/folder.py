"""A folder of stored files with a bound of its size, for use on the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import TypeVar

from proxy.file_store import locked_files
from proxy.file_store.locked_files import Lock
from proxy.storage.disk_names import DiskName, UnsafeName

T = TypeVar("T")

_ROOM_DIVISOR = 16
_LARGEST_DIVISOR = 4


class BoundedFolder:
    """A folder whose files have at most `most_bytes` together. `workers` processes share it.

    Without `threads`, the loop's default executor does the disk's work. Awaited methods may raise OSError."""

    def __init__(self, root: Path, workers: int, threads: Executor | None = None) -> None:
        self.root = root
        # The owner sets both bounds from the configuration.
        self.most_bytes = 0
        self.stored_s = 0.0
        self.threads = threads
        self._workers = workers
        self._unswept_bytes = 0

    @property
    def largest_bytes(self) -> int:
        """The most bytes of one file. A larger one would push out too many others."""
        return self.most_bytes // _LARGEST_DIVISOR

    @property
    def bytes_after_sweep(self) -> int:
        """The most bytes that a sweep leaves: a sixteenth of the bound is room for new files."""
        return self.most_bytes * (_ROOM_DIVISOR - 1) // _ROOM_DIVISOR

    @property
    def valid_since(self) -> float:
        """Files that were written before this moment, in seconds, are too old to be used."""
        return time.time() - self.stored_s

    async def lock_file(self, path: Path) -> Lock | None:
        """Take the lock of a file. Return None while this worker or another one makes the file."""
        return await self.run_or_undo(partial(locked_files.take_lock, path), Lock.release)

    async def run_or_undo(self, step: Callable[[], T | None], undo: Callable[[T], None]) -> T | None:
        """Return the result of the step. If the caller is cancelled meanwhile, `undo` gets the result."""
        running = self.run(step)

        def give_back(done: asyncio.Future[T | None]) -> None:
            if done.cancelled() or done.exception() is not None:
                return
            if (result := done.result()) is not None:
                # `undo` is rare and short, so it runs in the event loop: the threads may take no more work.
                undo(result)

        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            running.add_done_callback(give_back)
            raise

    def run(self, step: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self.threads, step)

    def count(self, size: int) -> bool:
        """Count a new file. Return whether a sweep is due: each worker may add its share of a sixteenth."""
        self._unswept_bytes += size
        return self._unswept_bytes > self.most_bytes // _ROOM_DIVISOR // self._workers

    async def sweep(self, *, by_use: bool = False) -> tuple[int, int]:
        """Make room for new files. Return how many files were removed, and how many bytes are left."""
        self._unswept_bytes = 0
        room = self.bytes_after_sweep
        return await self.run(partial(locked_files.sweep, self.root, room, self.valid_since, by_use=by_use))

    async def names(self) -> set[DiskName]:
        """List the whole files that are ours."""
        return await self.run(partial(_whole_files, self.root))

    async def remove(self, names: Collection[DiskName]) -> None:
        """Remove files at once. Names that are not there are no error."""
        if names:
            await self.run(partial(_remove, self.root, names))


def _whole_files(root: Path) -> set[DiskName]:
    found = set()
    for text in locked_files.list_names(root):
        try:
            name = DiskName(text)
        except UnsafeName:
            continue  # a lock, a part, or a foreign file
        if (root / name).is_file():
            found.add(name)
    return found


def _remove(root: Path, names: Collection[DiskName]) -> None:
    for name in names:
        (root / name).unlink(missing_ok=True)
