"""Turns for readers. Several at once would end no sooner, but would delay the event loop."""

from __future__ import annotations

import time
from threading import Lock
from types import TracebackType
from typing import Self

_SLICE_S = 0.001
_AWAY_S = 0.000_05
_SLICES_A_TURN = 10

_READING = Lock()


class Turn:
    """The right to compute, which only one reader has at a time.

    Of two threads, the interpreter lets the second in after 5 ms; of nine, the ninth after 40 ms.
    So only one reader asks for the interpreter at a time. It stays away for a moment each
    millisecond. After ten milliseconds it lets the next reader go on.
    """

    def __init__(self) -> None:
        self._ends = 0.0
        self._slices = 0

    def __enter__(self) -> Self:
        _READING.acquire()
        self._ends = time.perf_counter() + _SLICE_S
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _READING.release()

    def give_way(self) -> None:
        """Pause if it is time. The reader calls this often, between two steps of the work."""
        if time.perf_counter() < self._ends:
            return
        self._slices += 1
        is_over = self._slices % _SLICES_A_TURN == 0
        if is_over:
            _READING.release()
        # Without a wait, however short, this thread takes the interpreter again before another wakes.
        time.sleep(_AWAY_S)
        if is_over:
            _READING.acquire()
        self._ends = time.perf_counter() + _SLICE_S
