"""One speech on its way to the disk while it goes to its client, whom the disk never keeps waiting."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import FileIO

from proxy.kept.kept_files import Lock
from proxy.speech.cache.clips import BLOCK_BYTES, About, Identity

_MOST_WAITING = 16 * BLOCK_BYTES
"""So far the disk may lag behind; past it the answer goes on alone."""


class ClipRecording:
    """Holds the name until `end`. `given_up` is told once of what will not be kept: with the error where it
    is the disk that does not do it, a FileNotFoundError where its shelf was purged, and None where it is too
    large."""

    def __init__(
        self,
        lock: Lock,
        most_bytes: int,
        threads: ThreadPoolExecutor,
        given_up: Callable[[OSError | None], None],
    ) -> None:
        self.audio_bytes = 0
        self.sound: bytes | None = None
        self.identity: Identity | None = None
        self._lock = lock
        self._most_bytes = most_bytes
        self._threads = threads
        self._tell = given_up
        self._waiting = bytearray()
        self._file: FileIO | None = None
        self._writing: asyncio.Task[None] | None = None
        self._is_given_up = False

    def __repr__(self) -> str:
        return f"<ClipRecording of {self.audio_bytes} bytes{', given up' if self._is_given_up else ''}>"

    def add(self, data: bytes) -> None:
        if self._is_given_up:
            return
        self.audio_bytes += len(data)
        self._waiting += data
        if self.audio_bytes > self._most_bytes:
            self._give_up()
        elif len(self._waiting) > _MOST_WAITING:
            self._give_up(OSError(errno.EAGAIN, "the disk is slower than the speech"))
        elif len(self._waiting) >= BLOCK_BYTES and (self._writing is None or self._writing.done()):
            self._writing = asyncio.create_task(self._write_waiting())

    async def end(self, about: About | None, as_name: str = "") -> bool:
        """Whether it is kept now, under the name; in any case the one that it held is free. `sound` has all
        of it where that was small enough to be in memory still, and `identity` is that of its file."""
        if self._writing is not None:
            await self._writing
        if self._file is None:
            self.sound = bytes(self._waiting)
        if about is not None and not self._is_given_up:
            await self._on_disk(partial(self._complete, self._taken(), about, as_name))
        await self._on_disk(self._release)
        return self.identity is not None

    def _taken(self) -> bytearray:
        """What waits, taken by the loop: a thread would take it away in the middle of an `add`."""
        block, self._waiting = self._waiting, bytearray()
        return block

    def _give_up(self, error: OSError | None = None) -> None:
        self._waiting = bytearray()
        if not self._is_given_up:
            self._is_given_up = True
            self._tell(error)

    async def _write_waiting(self) -> None:
        while len(self._waiting) >= BLOCK_BYTES:
            await self._on_disk(partial(self._write, self._taken()))

    async def _on_disk(self, step: Callable[[], None]) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, step)
        except OSError as error:
            self._give_up(error)

    def _write(self, block: bytearray) -> None:
        if self._file is None:
            self._file = self._lock.create_part()
        while block:
            del block[: self._file.write(block) or 0]

    def _complete(self, block: bytearray, about: About, as_name: str) -> None:
        self._write(block + about.encoded())
        assert self._file is not None
        self._lock.complete_part(self._file, as_name)
        self.identity = Identity.of(os.fstat(self._file.fileno()))

    def _release(self) -> None:
        try:
            if self._file is not None:
                self._file.close()
                if self.identity is None:
                    self._lock.drop_part()
        finally:
            self._lock.release()
