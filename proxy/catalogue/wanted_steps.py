"""Which steps of jobs are still wanted, for whoever works on them elsewhere."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol


class WantedSteps(Protocol):
    async def still_wanted(self, steps: Collection[str]) -> set[str]:
        """Return those of these steps, by their `OfJob.step`, that are not done, and whose jobs go on."""
        ...


class NoSteps:
    """For a server without jobs."""

    async def still_wanted(self, steps: Collection[str]) -> set[str]:
        return set()
