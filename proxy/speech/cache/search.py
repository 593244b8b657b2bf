"""The way of one request to what the cache has for it: a kept clip, the clip that an equal request makes just
now, or the right to make it."""

from __future__ import annotations

import asyncio
import secrets
import time
from pathlib import Path

from proxy.kept.locked_files import Lock
from proxy.speech.cache.clips import Clip
from proxy.speech.cache.flights import Flight, Flights
from proxy.speech.cache.shelf import Shelf

_LOOK_AGAIN_S = 0.05
"""While another worker speaks. Workers have nothing but the folder to tell one another by."""


class CacheSearch:
    """A search ends with `clip`, or with `flight` and mostly `lock`, or with nothing.

    With nothing the request is spoken as if there were no cache. If the search is cancelled, its caller gives
    back what it holds.
    """

    def __init__(self, shelf: Shelf, flights: Flights, path: Path, patience_s: float) -> None:
        self.path = path
        self.clip: Clip | None = None
        self.flight: Flight | None = None
        self.lock: Lock | None = None
        self._shelf = shelf
        self._flights = flights
        self._patience_s = patience_s

    async def run(self) -> None:
        """Search. `patience_s` is the limit for each step of the disk, for the client of an equal request,
        and for another worker. Raises OSError, of which TimeoutError is one."""
        self.clip = await self._find(self.path)
        while self.clip is None:
            other = self._flights.of(self.path)
            landing = None if other is None else await other.wait(self._patience_s)
            if landing == "alone":
                return
            if landing is not None:
                self.clip = await self._find(self.path if landing == "again" else landing)
            elif self._flights.of(self.path) is other:
                self.flight = self._flights.begin(self.path)
                await self._take_lock(is_held=other is not None)
                return

    async def _take_lock(self, is_held: bool) -> None:
        """Take the lock of the name, or a lock of another name if the right one is held for too long.

        Those who wait in this worker then wait for us, and do not all speak at once.
        """
        path, ends = self.path, time.monotonic() + self._patience_s
        while self.lock is None and self.clip is None:
            if is_held or time.monotonic() > ends:
                path = self.path.with_name(f"{self.path.name}-{secrets.token_hex(4)}")
            async with asyncio.timeout(self._patience_s):
                self.lock = await self._shelf.folder.take(path)
            # The one who held the lock until now may have kept an answer since we looked.
            self.clip = await self._find(self.path)
            if self.lock is None and self.clip is None:
                await asyncio.sleep(_LOOK_AGAIN_S)

    async def _find(self, path: Path) -> Clip | None:
        async with asyncio.timeout(self._patience_s):
            return await self._shelf.find(path)
