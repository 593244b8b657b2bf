"""Equal requests at the same time: one of them speaks, and the others wait for its end."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Literal

Landing = Path | Literal["again", "alone"]
"""The end of a flight: the stored file; `again`, if one waiting request should speak; `alone`, if each
request should speak for itself, because the sound cannot be stored or takes as long as it plays."""

_LOOK_AGAIN_S = 0.05


class Leader:
    """A request that speaks for all equal requests, until it has landed.

    Its engine has time limits. Its client has none, so the others do not wait for long.
    """

    def __init__(self, single_flight: SingleFlight, path: Path) -> None:
        self._single_flight = single_flight
        self._path = path
        self._landed: asyncio.Future[Landing] = asyncio.get_running_loop().create_future()
        self._began = time.monotonic()
        self._held_up_s = 0.0
        self._held_up_since: float | None = None

    @property
    def age_s(self) -> float:
        return time.monotonic() - self._began

    @property
    def held_up_s(self) -> float:
        """The total time in which the flight waited for the leader's client."""
        since = self._held_up_since
        return self._held_up_s + (0.0 if since is None else time.monotonic() - since)

    def hold_up(self) -> None:
        """From now on the flight waits for the leader's client."""
        if self._held_up_since is None:
            self._held_up_since = time.monotonic()

    def resume(self) -> None:
        self._held_up_s, self._held_up_since = self.held_up_s, None

    def land(self, landing: Landing) -> None:
        """End the flight. Only the first landing counts.

        After `alone` the flight stays known to later requests, until it lands once more.
        """
        if not self._landed.done():
            self._landed.set_result(landing)
        if landing != "alone":
            self._single_flight.forget(self._path, self)

    async def wait(self, patience_s: float) -> Landing | None:
        """Wait for the landing. Return None when the leader's client has held the flight up for `patience_s`
        in all."""
        while not self._landed.done():
            left_s = patience_s - self.held_up_s
            if left_s <= 0:
                return None
            await asyncio.wait((self._landed,), timeout=max(left_s, _LOOK_AGAIN_S))
        return self._landed.result()


class SingleFlight:
    def __init__(self) -> None:
        self._under_way: dict[Path, Leader] = {}

    def leader_of(self, path: Path) -> Leader | None:
        return self._under_way.get(path)

    def start_flight(self, path: Path) -> Leader:
        """Begin a flight in the place of any other one, which goes on for its own client."""
        leader = self._under_way[path] = Leader(self, path)
        return leader

    def forget(self, path: Path, leader: Leader) -> None:
        if self._under_way.get(path) is leader:
            del self._under_way[path]
