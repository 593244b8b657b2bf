"""Trainings that run on rented machines, for whoever brings them what they learn from, and takes what they
tell. A feature has them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from proxy.errors import NotFound
from proxy.storage.store import Condition
from speech_engine.training import FarTold, TrainingMessage


class FarTrainings(Protocol):
    def asked(self, job: str) -> AsyncGenerator[TrainingMessage, None]:
        """Yield what a job's training learns from, and `Train` at the end. Raises NotFound if it goes on no
        longer, or nobody may train with it any more."""
        ...

    async def take(self, job: str, step: str, told: FarTold, only_if: Condition) -> None:
        """Keep what the training of a step tells, if the condition is true in the commit. What was taken
        before is taken again. Raises NotFound if it is wanted no more, or a piece before it is missing."""
        ...


class NoFarTrainings:
    """For a server without jobs."""

    async def asked(self, job: str) -> AsyncGenerator[TrainingMessage, None]:
        for message in tuple[TrainingMessage, ...]():
            yield message
        raise NotFound("There is nothing here.")

    async def take(self, job: str, step: str, told: FarTold, only_if: Condition) -> None:
        raise NotFound("There is nothing here.")
