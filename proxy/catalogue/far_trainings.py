"""Trainings that run on rented machines, for whoever brings them what they learn from, and takes what they
tell. A feature has them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from typing import Protocol

from proxy.errors import NotFound
from proxy.storage.store import Condition
from speech_engine.training import FarTold, TrainingMessage


class FarTrainings(Protocol):
    def asked(self, job: str, digests: Collection[str]) -> AsyncGenerator[TrainingMessage, None]:
        """Yield what a job's training learns from, and `Train` at the end: these recordings and no others, as
        an erasure looks for them. What an earlier machine has brought in part is forgotten.

        Raises NotFound if it goes on no longer, nobody may train with it any more, or its voice has other
        recordings by now. Other failures may be over the next time.
        """
        ...

    async def take(self, job: str, step: str, told: FarTold, only_if: Condition) -> None:
        """Keep what the training of a step tells, if the condition is true in the commit. What was taken
        before is taken again. Raises NotFound if it is wanted no more, or a piece before it is missing."""
        ...


class NoFarTrainings:
    """For a server without jobs."""

    def asked(self, job: str, digests: Collection[str]) -> AsyncGenerator[TrainingMessage, None]:
        raise NotFound("There is nothing here.")

    async def take(self, job: str, step: str, told: FarTold, only_if: Condition) -> None:
        raise NotFound("There is nothing here.")
