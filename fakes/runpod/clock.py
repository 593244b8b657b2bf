"""The fake's clock: it stands still until a test moves it, or it runs, as a program's does."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

_START = 1_790_000_000.0


class Clock:
    """Seconds since 1970. `advance` wakes the tasks that wait for a moment that has come."""

    def __init__(self, start: float = _START, *, runs: bool = False) -> None:
        self._ahead = start - time.time() if runs else start
        self._runs = runs
        self._moved = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Clock at {self():.3f}>"

    def __call__(self) -> float:
        return self._ahead + (time.time() if self._runs else 0.0)

    def advance(self, seconds: float) -> None:
        self._ahead += seconds
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def until(self, moment: float) -> None:
        while (left := moment - self()) > 0:
            try:
                await asyncio.wait_for(self._moved.wait(), left if self._runs else None)
            except TimeoutError:
                pass


def iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")
