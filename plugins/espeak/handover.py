"""The way from the thread that speaks to the event loop that sends: bounded, and closed from either end.

The library makes audio a thousand times faster than it is heard, so without a bound a slow reader would
hold whole books in memory; here its callback waits until there is room again.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator

from speech_engine import Audio, Words

LIMIT_BYTES = 1 << 20
_WORD_BYTES = 64


def _size(event: Audio | Words) -> int:
    return len(event.pcm) if isinstance(event, Audio) else _WORD_BYTES * len(event.words)


class Handover:
    """Made in the event loop, for one job. `put` and `end` belong to the thread, the rest to the loop."""

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._loop = asyncio.get_running_loop()
        self._something = asyncio.Event()
        self._changed = threading.Condition()
        self._events: deque[Audio | Words] = deque()
        self._waiting_bytes = 0
        self._is_closed = False
        self._is_ended = False

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else "ended" if self._is_ended else "open"
        return f"<Handover {state}, {self._waiting_bytes} bytes waiting>"

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    def put(self, event: Audio | Words) -> bool:
        """Waits for room; returns False when nobody reads any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._waiting_bytes < self._limit_bytes)
            if self._is_closed:
                return False
            self._events.append(event)
            self._waiting_bytes += _size(event)
        self._tell_loop()
        return True

    def end(self) -> None:
        """Ends the handover: nothing more will come."""
        self._is_ended = True
        self._tell_loop()

    def close(self) -> None:
        """Stops reading: a waiting `put` returns at once, and so does every later `put`."""
        with self._changed:
            self._is_closed = True
            self._events.clear()
            self._waiting_bytes = 0
            self._changed.notify_all()

    async def events(self) -> AsyncGenerator[Audio | Words, None]:
        while True:
            self._something.clear()
            # Asked before looking: what was put before the end is then certainly seen.
            is_ended = self._is_ended
            while (event := self._taken()) is not None:
                yield event
            if is_ended:
                return
            await self._something.wait()

    def _taken(self) -> Audio | Words | None:
        with self._changed:
            if not self._events:
                return None
            event = self._events.popleft()
            self._waiting_bytes -= _size(event)
            self._changed.notify_all()
            return event

    def _tell_loop(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._something.set)
        except RuntimeError:
            # The loop is gone, and with it whoever read from here.
            self.close()
