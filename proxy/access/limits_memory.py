"""Requests a minute, counted in this process: the storage of `limits` for one worker.

The library's own storage starts a task, and reads every key at each request. It uses the wall clock: if that
clock is set back, it refuses requests for as long.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable

from limits.aio.storage import MovingWindowSupport, Storage


class _Entries:
    """The moments of the requests that passed, the oldest first. After `idle_from`, none of them counts."""

    __slots__ = ("idle_from", "moments")

    def __init__(self) -> None:
        self.moments: deque[float] = deque()
        self.idle_from = 0.0


class MemoryWindows(Storage, MovingWindowSupport):
    """The windows of all keys. `clock` counts seconds and never goes back.

    No method awaits, so that two calls never mix.
    """

    STORAGE_SCHEME = None

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        # The least recently used first, so that idle entries are at the front.
        self._entries: OrderedDict[str, _Entries] = OrderedDict()

    def __repr__(self) -> str:
        return f"<MemoryWindows of {len(self._entries)} keys>"

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        return ()

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        now = self._clock()
        moments = self._fresh(key, now - expiry)
        if len(moments) + amount > limit:
            return False
        self._append(key, now, expiry, amount)
        return True

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Return what Redis returns: the oldest of the newest `limit` entries, and their number."""
        now = self._clock()
        moments = self._fresh(key, now - expiry)
        count = min(limit, len(moments))
        return (moments[-count], count) if count else (now, 0)

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        now = self._clock()
        before = len(self._fresh(key, now - expiry))
        self._append(key, now, expiry, amount)
        return before + amount

    async def get(self, key: str) -> int:
        entries = self._entries.get(key)
        return len(entries.moments) if entries is not None else 0

    async def get_expiry(self, key: str) -> float:
        entries = self._entries.get(key)
        return entries.idle_from if entries is not None else self._clock()

    async def check(self) -> bool:
        return True

    async def reset(self) -> int:
        count = len(self._entries)
        self._entries.clear()
        return count

    async def clear(self, key: str) -> None:
        self._entries.pop(key, None)

    def _fresh(self, key: str, since: float) -> deque[float]:
        entries = self._entries.get(key)
        if entries is None:
            return deque()
        while entries.moments and entries.moments[0] < since:
            entries.moments.popleft()
        return entries.moments

    def _append(self, key: str, now: float, expiry: int, amount: int) -> None:
        entries = self._entries.setdefault(key, _Entries())
        entries.moments.extend([now] * amount)
        entries.idle_from = now + expiry
        self._entries.move_to_end(key)
        # One entry comes and two may go. So only the entries of the last minute stay.
        for _ in range(2):
            oldest = next(iter(self._entries.values()))
            if oldest.idle_from >= now:
                break
            self._entries.popitem(last=False)
