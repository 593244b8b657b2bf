"""A host's signs of life: the number of jobs in work, told at each change and while work goes on.

They come from the engine's work, never from the host's event loop: a running loop proves nothing about
a model that hangs. Jobs that wait for a slow reader are not counted as work.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

TELL_EVERY_S = 1.0


class Pulse:
    """A thread-safe pulse: an engine's own threads call `tick`. `tell` gets the number of jobs in work."""

    def __init__(self, tell: Callable[[int], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._tell = tell
        self._clock = clock
        self._working = 0
        self._told_at = 0.0
        self._changing = threading.Lock()

    def __repr__(self) -> str:
        return f"<Pulse {self._working} in work>"

    @contextmanager
    def working(self) -> Iterator[None]:
        self._change(1)
        try:
            yield
        finally:
            self._change(-1)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Marks a pause within `working`: the engine waits, but not by its own fault."""
        self._change(-1)
        try:
            yield
        finally:
            self._change(1)

    def tick(self) -> None:
        """Notes a finished unit of work. A call is cheap: a sign is sent at most once a second."""
        if self._clock() - self._told_at >= TELL_EVERY_S:
            self._change(0)

    def _change(self, by: int) -> None:
        with self._changing:
            self._working += by
            self._told_at = self._clock()
            self._tell(self._working)
