"""The small clips that were used last, in memory, so that a hit does not read them from the disk again."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from proxy.speech.cache import clips
from proxy.speech.cache.clips import Clip

BELIEVED_S = 1.0
"""For so long after a look at the folder we take it to be as it was. A look at every hit costs a tenth of the
hit, since it lets other threads of the process go first."""


class _Kept:
    def __init__(self, clip: Clip, now: float) -> None:
        self.clip = clip
        self.touched = now
        # The file may have been removed while it was written, or read.
        self.seen = -math.inf


class Remembered(NamedTuple):
    """A clip, and whether its use is to be written down. That is due once a minute."""

    clip: Clip
    is_due: bool


class Memory:
    """A memory in front of the folder. A clip whose file has lost its name is soon not given out here either.
    So workers that share the folder need not tell one another what they removed."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._bytes = 0

    def __repr__(self) -> str:
        return f"<Memory of {len(self._kept)} clips, {self._bytes} bytes>"

    def get(self, path: str, oldest: float) -> Remembered | None:
        kept = self._kept.get(path)
        if kept is None:
            return None
        now = time.monotonic()
        if kept.clip.identity.written_ns < oldest * 1e9 or not _is_there(path, kept, now):
            self._drop(path)
            return None
        self._kept.move_to_end(path)
        is_due = now - kept.touched > clips.TOUCHED_S
        if is_due:
            kept.touched = now
        return Remembered(kept.clip, is_due)

    def put(self, path: str, clip: Clip) -> None:
        """Remember a clip that has no rest on the disk."""
        self._drop(path)
        self._kept[path] = _Kept(clip, time.monotonic())
        self._bytes += len(clip.start)
        while self._bytes > self._most_bytes:
            self._drop(next(iter(self._kept)))

    def forget(self, paths: Iterable[str]) -> None:
        for path in paths:
            self._drop(path)

    def _drop(self, path: str) -> None:
        kept = self._kept.pop(path, None)
        if kept is not None:
            self._bytes -= len(kept.clip.start)


def _is_there(path: str, kept: _Kept, now: float) -> bool:
    if now - kept.seen <= BELIEVED_S:
        return True
    kept.seen = now
    return kept.clip.identity == clips.identity(path)
