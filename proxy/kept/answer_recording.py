"""One answer on its way to the disk while it goes to its client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from io import FileIO

import structlog

from proxy.kept.answer_files import Head
from proxy.kept.kept_files import Lock

_BLOCK_BYTES = 256 * 1024
"""Kept in memory until there is so much: most answers are written in one go, at their end."""

_log = structlog.get_logger()


class AnswerRecording:
    """Whatever the disk does, the answer goes on: what cannot be kept is reported once and given up.

    In this order: `begin`, `add` for each piece, `complete`, the settlement, `keep`; and `close` at any time.
    """

    def __init__(self, lock: Lock | None, sent: Head, most_bytes: int) -> None:
        self.is_broken = lock is None
        self._lock = lock
        self._head = sent
        self._most_bytes = most_bytes
        self._waiting = bytearray()
        self._file: FileIO | None = None
        self._written = 0
        self._is_too_large = False
        self._is_complete = False
        self._is_kept = False

    def __repr__(self) -> str:
        return f"<AnswerRecording of {self._head.request}, {self._written} bytes written>"

    @property
    def will_be_kept(self) -> bool:
        return not (self.is_broken or self._is_too_large)

    @property
    def kept_bytes(self) -> int:
        return self._written if self._is_kept else 0

    async def begin(self, headers: Iterable[tuple[str, str]]) -> None:
        head = Head(self._head.request, self._head.digest, tuple(headers))
        await self.add(head.encoded())

    async def add(self, data: bytes) -> None:
        if not self.will_be_kept:
            return
        if self._written + len(self._waiting) + len(data) > self._most_bytes:
            self._is_too_large = True
            self._waiting.clear()
            return
        self._waiting += data
        if len(self._waiting) >= _BLOCK_BYTES:
            await self._on_disk(self._write)

    async def complete(self) -> None:
        """Returns when the whole answer is on disk, or will not be. It counts only after the settlement."""
        if self.will_be_kept:
            await self._on_disk(self._complete)

    async def keep(self) -> None:
        """The settlement is on disk too. Before the last bytes go out, so that whoever has them finds the key
        free."""
        self._is_kept = self._is_complete
        await self.close()

    async def close(self) -> None:
        """Lets go of the key, if it has not; of an answer that was not settled nothing stays."""
        # Carried out even where the drain has cancelled us: a thread that has not begun could be taken back.
        await asyncio.shield(self._on_disk(self._release))

    async def _on_disk(self, step: Callable[[], None]) -> None:
        try:
            await asyncio.to_thread(step)
        except OSError as error:
            self.give_up(error)

    def give_up(self, error: OSError) -> None:
        """For what cannot even be begun, too."""
        self.is_broken = True
        self._waiting.clear()
        _log.warning("answer.keep.failed", request=self._head.request, reason=error.strerror)

    def _write(self) -> None:
        assert self._lock is not None
        if self._file is None:
            self._file = self._lock.create_part()
        while self._waiting:
            count = self._file.write(self._waiting) or 0
            self._written += count
            del self._waiting[:count]

    def _complete(self) -> None:
        self._write()
        assert self._lock is not None
        assert self._file is not None
        self._lock.complete_part(self._file)
        self._is_complete = True

    def _release(self) -> None:
        lock, self._lock = self._lock, None
        if lock is None:
            return
        try:
            if self._file is not None:
                self._file.close()
                if not self._is_complete:
                    lock.drop_part()
                elif not self._is_kept:
                    lock.drop_whole()
        finally:
            lock.release()
