"""Equal requests at the same time: one of them speaks, the others wait for how that ends."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

Landed = Path | Literal["again", "alone"]
"""Where it is kept now; or that somebody else should speak; or that each should, since it cannot be kept."""


class Flight:
    """One request that speaks for all of its kind, until it has landed."""

    def __init__(self, flights: Flights, path: Path) -> None:
        self._flights = flights
        self._path = path
        self._landed: asyncio.Future[Landed] = asyncio.get_running_loop().create_future()

    def __repr__(self) -> str:
        return f"<Flight {'landed' if self._landed.done() else 'under way'}>"

    def land(self, landed: Landed) -> None:
        """Counts once."""
        if not self._landed.done():
            self._flights.forget(self._path)
            self._landed.set_result(landed)

    async def landed(self) -> Landed:
        return await asyncio.shield(self._landed)


class Flights:
    def __init__(self) -> None:
        self._under_way: dict[Path, Flight] = {}

    def __repr__(self) -> str:
        return f"<Flights: {len(self._under_way)} under way>"

    def of(self, path: Path) -> Flight | None:
        return self._under_way.get(path)

    def begin(self, path: Path) -> Flight:
        """To be called where there is none."""
        flight = self._under_way[path] = Flight(self, path)
        return flight

    def forget(self, path: Path) -> None:
        del self._under_way[path]
