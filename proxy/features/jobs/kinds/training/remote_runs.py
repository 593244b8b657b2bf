"""The interface by which a training's step trains on a rented machine."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import msgspec

from speech_engine.redacted import Redacted
from speech_engine.training import TrainingEnd


class TrainingWork(Redacted, msgspec.Struct, frozen=True):
    """A training for a rented machine: a step of an account's job, both by id.

    `fingerprint` covers every input: a second request with the same value joins the run. `digests` are those
    of the recordings.
    """

    account: str
    job: str
    step: str
    fingerprint: str
    digests: tuple[str, ...]


class EndedRun(NamedTuple):
    """The id of a run, and the end of its training."""

    run: str
    end: TrainingEnd


class TrainingRuns(Protocol):
    """The runs of one engine that trains on rented machines."""

    async def train(self, order: TrainingWork) -> EndedRun:
        """Train in one run, and return its end.

        A second call returns the same end until `discard_result`. Raises EngineError. After EngineUnavailable
        there is no run, so the caller may try again.
        """
        ...

    async def discard_result(self, run: str) -> None:
        """Give up the result of this run. The next `train` begins another run."""
        ...
