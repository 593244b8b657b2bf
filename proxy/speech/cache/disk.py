"""The cache's folder as the loop sees it: in threads of its own, with the small answers of late in memory.

A disk that hangs takes those threads and no others; whoever waits here has a clock of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from proxy.kept import kept_files
from proxy.kept.kept_files import Lock, Swept
from proxy.speech.cache import clips
from proxy.speech.cache.clips import Clip
from proxy.speech.cache.folder import Folder
from proxy.speech.cache.memory import Memory

T = TypeVar("T")

_THREADS = 4
_MEMORY_BYTES = 64_000_000


class Disk:
    """Every method but those of memory may raise OSError."""

    def __init__(self, root: Path) -> None:
        self.threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="cache")
        self.kept_s = 0.0
        self._root = str(root)
        self._folder = Folder(root)
        self._memory = Memory(_MEMORY_BYTES)

    def __repr__(self) -> str:
        return f"<Disk {self._folder!r}, {self._memory!r}>"

    def path(self, shelf: str, name: str) -> str:
        """A plain text: most requests that are found need no more of it."""
        return f"{self._root}/{shelf}/{name}"

    def remembered(self, path: str) -> Clip | None:
        found = self._memory.get(path, time.time() - self.kept_s)
        if found is None:
            return None
        clip, is_due = found
        if is_due:
            self._run(partial(clips.touch, path)).add_done_callback(_look_at)
        return clip

    async def find(self, path: Path) -> Clip | None:
        if (kept := self.remembered(str(path))) is not None:
            return kept
        clip = await self._given(partial(clips.load, path, time.time() - self.kept_s), Clip.close)
        if clip is not None and clip.rest is None:
            self._memory.put(str(path), clip)
        return clip

    async def take(self, path: Path) -> Lock | None:
        return await self._given(partial(kept_files.take, path), Lock.release)

    async def release(self, lock: Lock) -> None:
        await self._run(lock.release)

    def remember(self, path: Path, clip: Clip) -> None:
        """What was just written there, and will be asked for by those who waited for it."""
        self._memory.put(str(path), clip)

    async def purge(self, is_one: Callable[[str], bool]) -> int:
        """Of shelves, by name. Other workers' memories see it within a second."""
        purged = await self._run(partial(self._folder.purge, is_one))
        self._memory.forget(lambda path: is_one(Path(path).parent.name))
        return purged

    async def sweep(self, most_bytes: int) -> Swept:
        return await self._run(partial(self._folder.sweep, most_bytes, time.time() - self.kept_s))

    def close(self) -> None:
        self.threads.shutdown(wait=False, cancel_futures=True)

    def _run(self, step: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self.threads, step)

    async def _given(self, step: Callable[[], T | None], undo: Callable[[T], None]) -> T | None:
        """What the step gives; where its caller is cancelled meanwhile, nobody else would give it back."""
        running = self._run(step)

        def given_back(done: asyncio.Future[T | None]) -> None:
            if done.cancelled() or done.exception() is not None:
                return
            if (given := done.result()) is not None:
                undo(given)

        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            running.add_done_callback(given_back)
            raise


def _look_at(touched: asyncio.Future[None]) -> None:
    """One that was swept away meanwhile has no use to be written down."""
    if not touched.cancelled():
        touched.exception()
