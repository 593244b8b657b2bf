"""One request's way to what it gets of the cache: what is kept, what an equal one makes just now, or the
right to make it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from proxy.cache.clips import Clip
from proxy.cache.disk import Disk
from proxy.cache.flights import Flight, Flights
from proxy.kept_files import Lock

_LOOK_AGAIN_S = 0.05
"""While another worker speaks: processes have nothing to tell one another by but the folder."""


class Looking:
    """What it has come to holds `clip`, or `flight` and mostly `lock`; or nothing, and the request is spoken
    as if there were no cache. Whatever it holds when it is cancelled is its caller's to give back."""

    def __init__(self, disk: Disk, flights: Flights, path: Path) -> None:
        self.path = path
        self.clip: Clip | None = None
        self.flight: Flight | None = None
        self.lock: Lock | None = None
        self._disk = disk
        self._flights = flights

    def __repr__(self) -> str:
        return f"<Looking, {'found' if self.clip else 'speaking' if self.flight else 'waiting'}>"

    async def look(self) -> None:
        """Ends with one of the three. Raises OSError; the caller keeps the time."""
        self.clip = await self._disk.find(self.path)
        while self.clip is None:
            other = self._flights.of(self.path)
            if other is None:
                self.flight = self._flights.begin(self.path)
                await self._lock()
                return
            landed = await other.landed()
            if landed == "alone":
                return
            self.clip = await self._disk.find(self.path if landed == "again" else landed)

    async def _lock(self) -> None:
        while self.lock is None and self.clip is None:
            self.lock = await self._disk.take(self.path)
            # Whoever held it until now may have kept its answer since we looked.
            self.clip = await self._disk.find(self.path)
            if self.lock is None and self.clip is None:
                await asyncio.sleep(_LOOK_AGAIN_S)
