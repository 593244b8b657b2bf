"""The places for requests to providers: so many at once, and the others wait in their order."""

from __future__ import annotations

import asyncio
from collections import deque


class Places:
    """A semaphore that costs one call where there is a place. Each `take` needs one `release`."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take_now(self) -> bool:
        """Take a place if there is one: those who wait are given theirs."""
        if not self._free:
            return False
        self._free -= 1
        return True

    async def acquire(self) -> None:
        """Wait for a place."""
        if self.take_now():
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.release()  # it was given just when the request ended
            elif place in self._waiting:
                self._waiting.remove(place)
            raise

    def release(self) -> None:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._free += 1
