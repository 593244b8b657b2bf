"""Requests a minute, counted in this process: for one worker."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence

from policies.rate import WINDOW_S
from proxy.access.windows import FullWindow, Limit

_NO_MOMENTS: deque[float] = deque()


class MemoryWindows:
    """The moments of the requests that passed within the last minute, by kind and name.

    `clock` counts seconds and never goes back. No method suspends, so that two calls never mix.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # The oldest moment first. The window that counted last is at the end, so idle ones are at the front.
        self._windows: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    async def count(self, limits: Sequence[Limit]) -> list[int] | FullWindow:
        now = self._clock()
        for limit in limits:
            if (full := self._full(limit, now)) is not None:
                return full
        left: list[int] = []
        for limit in limits:
            left.append(self._counted(limit, now))
        return left

    async def full(self, limit: Limit) -> FullWindow | None:
        return self._full(limit, self._clock())

    async def check(self) -> None:
        """Do nothing: memory can always count."""

    def _full(self, limit: Limit, now: float) -> FullWindow | None:
        moments = self._windows.get((limit.kind, limit.name), _NO_MOMENTS)
        while moments and moments[0] < now - WINDOW_S:
            moments.popleft()
        if len(moments) < limit.most:
            return None
        if not moments:
            return FullWindow(limit, WINDOW_S, 0.0)
        # There is room again when the oldest of the newest `most` requests leaves the window.
        oldest = moments[-limit.most] if limit.most else now
        return FullWindow(limit, oldest + WINDOW_S - now, moments[-1] + WINDOW_S - now)

    def _counted(self, limit: Limit, now: float) -> int:
        name = limit.kind, limit.name
        moments = self._windows.get(name)
        if moments is None:
            self._windows[name] = deque((now,))
            self._drop_idle(now - WINDOW_S)
            return limit.most - 1
        moments.append(now)
        self._windows.move_to_end(name)
        return limit.most - len(moments)

    def _drop_idle(self, since: float) -> None:
        """Drop up to two idle windows: one comes and two may go, so only those of the last minute stay."""
        for _ in range(2):
            name, moments = next(iter(self._windows.items()))
            if moments and moments[-1] >= since:
                return
            del self._windows[name]
