"""One request's way to what it gets of the cache: what is kept, what an equal one makes just now, or the
right to make it."""

from __future__ import annotations

import asyncio
import secrets
import time
from pathlib import Path

from proxy.kept.kept_files import Lock
from proxy.speech.cache.clips import Clip
from proxy.speech.cache.disk import Disk
from proxy.speech.cache.flights import Flight, Flights

_LOOK_AGAIN_S = 0.05
"""While another worker speaks: processes have nothing to tell one another by but the folder."""


class CacheSearch:
    """What it has come to holds `clip`, or `flight` and mostly `lock`; or nothing, and the request is spoken
    as if there were no cache. Whatever it holds when it is cancelled is its caller's to give back."""

    def __init__(self, disk: Disk, flights: Flights, path: Path, patience_s: float) -> None:
        self.path = path
        self.clip: Clip | None = None
        self.flight: Flight | None = None
        self.lock: Lock | None = None
        self._disk = disk
        self._flights = flights
        self._patience_s = patience_s

    def __repr__(self) -> str:
        return f"<CacheSearch, {'found' if self.clip else 'speaking' if self.flight else 'waiting'}>"

    async def look(self) -> None:
        """Ends with one of the three. `patience_s` is for each step of the disk, for a client who keeps an
        equal request waiting, and for another worker. Raises OSError, of which TimeoutError is one."""
        self.clip = await self._find(self.path)
        while self.clip is None:
            other = self._flights.of(self.path)
            landed = None if other is None else await other.landed(self._patience_s)
            if landed == "alone":
                return
            if landed is not None:
                self.clip = await self._find(self.path if landed == "again" else landed)
            elif self._flights.of(self.path) is other:
                self.flight = self._flights.begin(self.path)
                await self._lock(is_held=other is not None)
                return

    async def _lock(self, is_held: bool) -> None:
        """Under a name of our own where another one's client, or another worker, keeps the right one for too
        long: those who wait here then wait for us, and do not all speak at once."""
        path, ends = self.path, time.monotonic() + self._patience_s
        while self.lock is None and self.clip is None:
            if is_held or time.monotonic() > ends:
                path = self.path.with_name(f"{self.path.name}-{secrets.token_hex(4)}")
            async with asyncio.timeout(self._patience_s):
                self.lock = await self._disk.take(path)
            # Whoever held it until now may have kept its answer since we looked.
            self.clip = await self._find(self.path)
            if self.lock is None and self.clip is None:
                await asyncio.sleep(_LOOK_AGAIN_S)

    async def _find(self, path: Path) -> Clip | None:
        async with asyncio.timeout(self._patience_s):
            return await self._disk.find(path)
