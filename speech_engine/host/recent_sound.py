"""Measures how fast a job gave its sound in the last minute, since a machine may become busy."""

from __future__ import annotations

import time
from typing import NamedTuple

_RECENT_S = 60.0


class LastMinute(NamedTuple):
    """The length of a time that ends now, a minute or less, and the seconds of sound that were made in it."""

    took_s: float
    made_s: float


class RecentSound:
    """The sound of a job that begins now. `first_s` is the time from `dispatched_at` to the first sound."""

    def __init__(self) -> None:
        self.made_s = self.first_s = 0.0
        self.began_at = self.dispatched_at = time.monotonic()
        # Two moments, and the sound made until each. At first, both are the beginning.
        self._since = self._last = (self.began_at, 0.0)

    def add(self, seconds: float) -> None:
        now = time.monotonic()
        if not self.made_s:
            self.first_s = now - self.dispatched_at
        self.made_s += seconds
        if now - self._last[0] >= _RECENT_S / 2:
            self._since, self._last = self._last, (now, self.made_s)

    def lately(self) -> LastMinute:
        since, made_s = self._since
        return LastMinute(time.monotonic() - since, self.made_s - made_s)
