"""Tells whether a worker speaks now. Work in the background waits until it does not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class Activity:
    """The running calls of a worker, and how long ago the last one ended. Calls that are `is_idle` do not
    count. `began` is set when a call begins while no other runs. The task that waits for it clears it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.began = asyncio.Event()
        self._clock = clock
        self._running = 0
        self._last = clock()

    @property
    def idle_s(self) -> float:
        return 0.0 if self._running else self._clock() - self._last

    def note(self) -> None:
        """Count work that another process does now."""
        self._last = self._clock()

    def call_began(self, *, is_idle: bool) -> None:
        """Count a call until `call_ended`."""
        if not is_idle:
            if not self._running:
                self.began.set()
            self._running += 1

    def call_ended(self, *, is_idle: bool) -> None:
        if not is_idle:
            self._running -= 1
            self._last = self._clock()
