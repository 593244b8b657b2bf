"""Limits for a client that reads slowly: how long it may pause, and how slow it may be.

Time counts only while bytes wait for the client, so a slow engine never counts. A player that pauses
reads nothing for a while and then goes on: it is cut off only if the pause lasts. A client that takes a few
bytes now and then never pauses for long, and could hold its answer for hours. So there is a rate as well,
over a window of two such pauses. A player that reads as fast as it plays may pause for half of it, because
the usual `least_bytes_per_s` is at most half of the rate of any format (audio/formats.py).
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from proxy.speech.deadline import MovingTimer

_WINDOW_PAUSES = 2


class WatchedReader(Protocol):
    """The client of a connection, as its watch sees it."""

    stall_s: float
    """The longest time for which it may leave waiting bytes untouched."""
    least_bytes_per_s: float
    """The bytes that it must take each second; 0 is no limit."""

    def count_unsent(self) -> int:
        """Return the bytes that were written and have not left yet."""
        ...

    def count_taken(self) -> int:
        """Return the bytes that have left since the connection began."""
        ...

    def cut_off(self) -> None: ...


class ReaderWatch(MovingTimer):
    """The watch over one client. It runs from `start_watch` to `end_watch`, again and again."""

    def __init__(self, reader: WatchedReader) -> None:
        self._reader = reader
        self.is_on = False
        self._counted_until_s = 0.0
        # The counts at the last look, and at the start of the window for the rate.
        self._taken_bytes = 0
        self._bytes_before_window = 0
        self._waited_s = 0.0

    def start_watch(self) -> None:
        """Start the watch: bytes wait for the client."""
        self.is_on, self._counted_until_s = True, asyncio.get_running_loop().time()
        self._taken_bytes = self._reader.count_taken()
        self.expire_at(self._counted_until_s + self._reader.stall_s)

    def end_watch(self) -> None:
        if self.is_on:
            self._count_time()
            self.end_uncounted()

    def end_uncounted(self) -> None:
        """End the watch without counting the last seconds: it is not known when the last bytes left."""
        self.is_on = False
        self.rest()

    def expire(self) -> None:
        """Look at the client. The timer calls this `stall_s` after the last look."""
        bytes_taken = self._reader.count_taken()
        if not self._reader.count_unsent():
            self.end_uncounted()
        elif bytes_taken == self._taken_bytes:
            self._reader.cut_off()
        else:
            self._taken_bytes = bytes_taken
            self._count_time()
            # After a cut, the lost connection closes this timer.
            self.expire_at(self._counted_until_s + self._reader.stall_s)

    def _count_time(self) -> None:
        """Count the time since the last count. At the end of a window, cut off a client that was too slow in
        it."""
        now = asyncio.get_running_loop().time()
        self._waited_s += now - self._counted_until_s
        self._counted_until_s = now
        if self._waited_s < _WINDOW_PAUSES * self._reader.stall_s:
            return
        bytes_taken = self._reader.count_taken()
        if bytes_taken - self._bytes_before_window < self._waited_s * self._reader.least_bytes_per_s:
            self._reader.cut_off()
        self._waited_s = 0.0
        self._bytes_before_window = bytes_taken
