"""The small clips that were used last, in memory, so that a hit does not read them from the disk again."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Iterable

import msgspec

from proxy.features.cache import clips
from proxy.features.cache.clips import Clip

BELIEVED_S = 1.0
"""For so long after a look at the folder we take it to be as it was. A look at every hit costs a tenth of the
hit, since it lets other threads of the process go first."""


class _Entry:
    def __init__(self, clip: Clip, now: float) -> None:
        self.clip = clip
        self.touched = now
        # The file may have been removed while it was written, or read.
        self.seen = -math.inf


class MemoryHit(msgspec.Struct, frozen=True):
    """A clip, and whether its use is to be written down. That is due once a minute."""

    clip: Clip
    is_due: bool


class Memory:
    """A memory in front of the folder. A clip whose file has lost its name is soon not given out here either.
    So workers that share the folder need not tell one another what they removed."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._bytes = 0

    def __repr__(self) -> str:
        return f"<Memory of {len(self._entries)} clips, {self._bytes} bytes>"

    def get(self, path: str, oldest: float) -> MemoryHit | None:
        entry = self._entries.get(path)
        if entry is None:
            return None
        now = time.monotonic()
        is_there = entry.clip.identity.written_ns >= oldest * 1e9
        if is_there and now - entry.seen > BELIEVED_S:
            entry.seen = now
            is_there = entry.clip.identity == clips.identity(path)
        if not is_there:
            self._drop(path)
            return None
        self._entries.move_to_end(path)
        is_due = now - entry.touched > clips.TOUCHED_S
        if is_due:
            entry.touched = now
        return MemoryHit(entry.clip, is_due)

    def put(self, path: str, clip: Clip) -> None:
        """Remember a clip that has no rest on the disk."""
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
