"""Equal requests at the same time: one of them speaks, the others wait for how that ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

Landed = Path | Literal["again", "alone"]
"""Where it is kept now; or that somebody else should speak; or that each should, since it cannot be kept."""

_LOOK_AGAIN_S = 0.05


class Flight:
    """One request that speaks for all of its kind, until it has landed. Its engine has clocks of its own;
    what those who wait for it need not bear is its client, who may take his time."""

    def __init__(self, flights: Flights, path: Path) -> None:
        self._flights = flights
        self._path = path
        self._landed: asyncio.Future[Landed] = asyncio.get_running_loop().create_future()
        self._began = time.monotonic()
        self._held_up_s = 0.0
        self._held_up_since: float | None = None

    def __repr__(self) -> str:
        return f"<Flight {'landed' if self._landed.done() else 'under way'}>"

    @property
    def age_s(self) -> float:
        return time.monotonic() - self._began

    @property
    def held_up_s(self) -> float:
        """How long its client has kept it waiting, in all."""
        since = self._held_up_since
        return self._held_up_s + (0.0 if since is None else time.monotonic() - since)

    def hold_up(self) -> None:
        """From now on it is its client who is waited for."""
        if self._held_up_since is None:
            self._held_up_since = time.monotonic()

    @contextmanager
    def held_up(self) -> Iterator[None]:
        self.hold_up()
        try:
            yield
        finally:
            self._held_up_s, self._held_up_since = self.held_up_s, None

    def land(self, landed: Landed) -> None:
        """Counts once; only where each is to speak for itself it is there still, to tell that, until it lands
        a second time."""
        if not self._landed.done():
            self._landed.set_result(landed)
        if landed != "alone":
            self._flights.forget(self._path, self)

    async def landed(self, patience_s: float) -> Landed | None:
        """None when its client has held it up for so long."""
        while not self._landed.done():
            left_s = patience_s - self.held_up_s
            if left_s <= 0:
                return None
            await asyncio.wait((self._landed,), timeout=max(left_s, _LOOK_AGAIN_S))
        return self._landed.result()


class Flights:
    def __init__(self) -> None:
        self._under_way: dict[Path, Flight] = {}

    def __repr__(self) -> str:
        return f"<Flights: {len(self._under_way)} under way>"

    def of(self, path: Path) -> Flight | None:
        return self._under_way.get(path)

    def begin(self, path: Path) -> Flight:
        """In place of any that is under way; that one goes on for its own client."""
        flight = self._under_way[path] = Flight(self, path)
        return flight

    def forget(self, path: Path, flight: Flight) -> None:
        if self._under_way.get(path) is flight:
            del self._under_way[path]
