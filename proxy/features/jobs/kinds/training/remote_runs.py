"""Trainings in runs on rented machines, as trainings order them."""

from __future__ import annotations

from typing import Protocol

import msgspec

from speech_engine.redacted import Redacted
from speech_engine.training import TrainingEnd


class TrainingWork(Redacted, msgspec.Struct, frozen=True):
    """A training for a rented machine: a step of an account's job.

    `fingerprint` covers every input: a second request with the same value joins the run. `digests` name the
    recordings.
    """

    account: str
    job: str
    step: str
    fingerprint: str
    digests: tuple[str, ...]


class TrainingRuns(Protocol):
    """The runs of one engine that trains on rented machines."""

    async def train(self, order: TrainingWork) -> tuple[str, TrainingEnd]:
        """Train in one run, and return its name and its end.

        A second call returns the same end until `pass_over`. Raises EngineError. After EngineUnavailable
        there is no run, so the caller may try again.
        """
        ...

    async def pass_over(self, run: str) -> None:
        """Forget this run, so that the next training begins anew."""
        ...
