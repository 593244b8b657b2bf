"""The writing of one stored file, while the same bytes go to a client."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from io import FileIO

from proxy.file_store.locked_files import Lock

BLOCK_BYTES = 256 * 1024
"""The least bytes of a write before the end of the file."""

_MOST_WAITING = 16 * BLOCK_BYTES
"""The most bytes that may wait for the disk. If there are more, the file is given up."""


class FileRecording:
    """The bytes of one file. If the disk fails, the recording is given up, and the answer to the client goes
    on.

    The order is: `add` for each piece, `complete`, `close`. `close` may come at any time.
    """

    def __init__(self, lock: Lock | None, most_bytes: int, threads: Executor | None = None) -> None:
        self.size = 0
        self.failure: OSError | None = None
        self.is_given_up = False
        self.is_stored = False
        self.stat: os.stat_result | None = None
        self._lock = lock
        self._name: str | None = None
        self._most_bytes = most_bytes
        self._threads = threads
        self._waiting = bytearray()
        self._file: FileIO | None = None
        self._writing: asyncio.Task[None] | None = None

    @property
    def content(self) -> bytes | None:
        """All bytes so far, if none of them went to the disk yet."""
        return bytes(self._waiting) if len(self._waiting) == self.size else None

    def add(self, data: bytes) -> None:
        """Take the next bytes. The caller never waits for the disk."""
        if self.is_given_up:
            return
        if len(self._waiting) > _MOST_WAITING:
            self.give_up(OSError(errno.EAGAIN, "the disk is slower than the speech"))
            return
        self.size += len(data)
        self._waiting += data
        if self.size > self._most_bytes:
            self.give_up()
        elif len(self._waiting) >= BLOCK_BYTES and (self._writing is None or self._writing.done()):
            self._writing = asyncio.create_task(self._write_blocks())

    async def keep_up(self) -> None:
        """Wait until all added bytes, except the last block, are on the disk."""
        if self._writing is not None:
            await asyncio.wait([self._writing])

    async def complete(self, tail: bytes = b"", name: str | None = None) -> None:
        """Write the `tail`, and return when the whole file is on disk, or is given up. Without `name`, its
        name is the lock's. `stat` is set if it is there."""
        await self.keep_up()
        if not self.is_given_up:
            await self._on_disk(partial(self._complete, self._take_waiting() + tail, name))

    async def close(self, *, keep: bool = False) -> None:
        """Release the name. The file stays only if it is complete and `keep` is true."""
        # A thread that has not begun could be cancelled with its caller, and the lock would stay.
        await asyncio.shield(self._close(keep))

    def give_up(self, failure: OSError | None = None) -> None:
        """Store nothing of this, because of a failure or its size."""
        self._waiting = bytearray()
        if not self.is_given_up:
            self.is_given_up, self.failure = True, failure
            self.on_given_up()

    def on_given_up(self) -> None:
        """Called once, when it is known that the file will not be stored."""

    async def _close(self, keep: bool) -> None:
        await self.keep_up()
        await self._on_disk(partial(self._release, keep))

    async def _write_blocks(self) -> None:
        while len(self._waiting) >= BLOCK_BYTES:
            await self._on_disk(partial(self._write, self._take_waiting()))

    def _take_waiting(self) -> bytearray:
        """The loop calls this, since a thread could take the bytes in the middle of an `add`."""
        block, self._waiting = self._waiting, bytearray()
        return block

    async def _on_disk(self, step: Callable[[], None]) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, step)
        except OSError as error:
            self.give_up(error)

    def _write(self, block: bytearray) -> None:
        assert self._lock is not None
        if self._file is None:
            self._file = self._lock.create_part()
        while block:
            del block[: self._file.write(block) or 0]

    def _complete(self, block: bytearray, name: str | None) -> None:
        self._write(block)
        assert self._lock is not None
        assert self._file is not None
        self._name = name or self._lock.name
        self._lock.complete_part(self._file, self._name)
        self.stat = os.fstat(self._file.fileno())

    def _release(self, keep: bool) -> None:
        lock, self._lock = self._lock, None
        if lock is None:
            return
        try:
            if self._file is not None:
                self._file.close()
            self.is_stored = keep and self.stat is not None
            if self._file is not None and not self.is_stored:
                lock.drop_part()
                if self._name is not None:
                    # Without a `stat`, too: the flush may have failed after the file had its name.
                    lock.drop_whole(self._name)
        finally:
            lock.release()
