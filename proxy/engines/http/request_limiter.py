"""The limit of concurrent requests to providers. Further requests wait in order."""

from __future__ import annotations

import asyncio
from collections import deque


class Places:
    """A semaphore that costs one call if a place is free. Each `acquire`, and each `take_now` that
    succeeds, needs one `release`."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take_now(self) -> bool:
        """Take a place if one is free. Waiting requests come first."""
        if not self._free:
            return False
        self._free -= 1
        return True

    async def acquire(self) -> None:
        if self.take_now():
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.release()  # the place came just as the request was cancelled
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
