"""The small answers that were used last, in memory: what a hit would read from the disk again and again."""

from __future__ import annotations

import time
from collections import OrderedDict

from proxy.cache import clips
from proxy.cache.clips import Clip


class Memory:
    """Only in front of the folder: what has lost its name there is not given out here either. So workers
    that share the folder need not tell one another what they took away."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._clips: OrderedDict[str, tuple[Clip, float]] = OrderedDict()
        self._bytes = 0

    def __repr__(self) -> str:
        return f"<Memory of {len(self._clips)} clips, {self._bytes} bytes>"

    def get(self, path: str, oldest: float) -> tuple[Clip, bool] | None:
        """And whether its use is to be written down: not for each one of the same minute."""
        found = self._clips.get(path)
        if found is None:
            return None
        clip, touched = found
        if clip.identity != clips.identity(path) or clip.identity.written_ns < oldest * 1e9:
            self._drop(path)
            return None
        self._clips.move_to_end(path)
        now = time.monotonic()
        is_due = now - touched > clips.TOUCHED_S
        if is_due:
            self._clips[path] = (clip, now)
        return clip, is_due

    def put(self, path: str, clip: Clip) -> None:
        """One that has no rest on the disk."""
        self._drop(path)
        self._clips[path] = (clip, time.monotonic())
        self._bytes += len(clip.start)
        while self._bytes > self._most_bytes:
            self._drop(next(iter(self._clips)))

    def _drop(self, path: str) -> None:
        found = self._clips.pop(path, None)
        if found is not None:
            self._bytes -= len(found[0].start)
