"""A bounded queue from the thread that speaks to the event loop that sends. Both can end it.

eSpeak NG makes audio a thousand times faster than it plays. Without a bound, a slow client would keep
whole books in memory. At the bound, eSpeak NG's callback waits until there is room again.
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
    """The queue of one job, made in the event loop.

    The thread calls `put` and `end`, and the loop calls the other methods.
    """

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._loop = asyncio.get_running_loop()
        self._wakeup = asyncio.Event()
        self._condition = threading.Condition()
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
        """Wait for room and add the event. Return False if the reader has left."""
        with self._condition:
            self._condition.wait_for(lambda: self._is_closed or self._waiting_bytes < self._limit_bytes)
            if self._is_closed:
                return False
            self._events.append(event)
            self._waiting_bytes += _size(event)
        self._tell_loop()
        return True

    def end(self) -> None:
        """End the handover: no event follows."""
        self._is_ended = True
        self._tell_loop()

    def close(self) -> None:
        """Stop reading. A waiting `put` returns at once, and so does every later `put`."""
        with self._condition:
            self._is_closed = True
            self._events.clear()
            self._waiting_bytes = 0
            self._condition.notify_all()

    async def events(self) -> AsyncGenerator[Audio | Words, None]:
        """Yield the events until the thread calls `end`."""
        while True:
            self._wakeup.clear()
            # The flag is read before the queue, so that no event from before the end is missed.
            is_ended = self._is_ended
            while (event := self._pop()) is not None:
                yield event
            if is_ended:
                return
            await self._wait()

    async def _wait(self) -> None:
        await self._wakeup.wait()

    def _pop(self) -> Audio | Words | None:
        with self._condition:
            if not self._events:
                return None
            event = self._events.popleft()
            self._waiting_bytes -= _size(event)
            self._condition.notify_all()
            return event

    def _tell_loop(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._wakeup.set)
        except RuntimeError:
            # The loop is gone, and its reader with it.
            self.close()
