"""Counts of requests in a moving window, by the fake's clock."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from fakes.runpod.clock import Clock

JOBS_WINDOW_S = 10.0
JOBS_RATES = {
    "run": 1000,
    "runsync": 2000,
    "status": 2000,
    "stream": 2000,
    "cancel": 100,
    "purge-queue": 2,
    "requests": 10,
}
"""Requests an endpoint and ten seconds. Other operations have no limit of their own."""


class Quota(NamedTuple):
    is_over: bool
    left: int
    again_s: int


class Window:
    def __init__(self, clock: Clock, most: int, window_s: float) -> None:
        self.most = most
        self._clock = clock
        self._window_s = window_s
        self._seen: deque[float] = deque()

    def __repr__(self) -> str:
        return f"<Window {len(self._seen)} of {self.most}>"

    def count(self) -> Quota:
        now = self._clock()
        while self._seen and self._seen[0] <= now - self._window_s:
            self._seen.popleft()
        is_over = len(self._seen) >= self.most
        if not is_over:
            self._seen.append(now)
        again_s = max(1, round(self._seen[0] + self._window_s - now)) if self._seen else 1
        return Quota(is_over, self.most - len(self._seen), again_s)
