"""One job's turn in the slots of an engine, and what an engine may say of the room for it."""

from __future__ import annotations

import asyncio
from typing import Protocol, runtime_checkable

from speech_engine.host.fair import Ticket
from speech_engine.values import SpeechJob, Urgency


class Gate(Protocol):
    """What an engine knows of the room beside the jobs that it has."""

    def fits_in_s(self, job: SpeechJob, admitted: tuple[SpeechJob, ...]) -> float:
        """Return 0 if the job may begin, else after how long it may. `admitted` begin just now."""
        ...

    def goes_on(self, job: SpeechJob) -> bool:
        """Tell whether a job is a further part of an answer that has begun here."""
        ...


class SlotTurn(Ticket):
    """A job's turn, from its arrival to the moment when it leaves its slot. `place` is there if it waits."""

    def __init__(
        self,
        tenant: str,
        deadline_at: float,
        estimated_s: float,
        share: float,
        runs_alone: bool,
        job: SpeechJob | None = None,
        urgency: Urgency = "live",
    ) -> None:
        super().__init__(tenant, estimated_s, share, urgency)
        self.job = job
        self.deadline_at = deadline_at
        self.runs_alone = runs_alone
        self.place: asyncio.Future[None] | None = None
        self.began_at = 0.0
        self.rate_hz = 0
        self.has_finished = False

    @property
    def is_waiting(self) -> bool:
        return self.place is None or not self.place.done()

    @property
    def left_s(self) -> float:
        return max(0.0, self.deadline_at - asyncio.get_running_loop().time())


class Batch(Gate, Protocol):
    """What the host asks of an engine's `BatchLoop`."""

    def figures(self) -> dict[str, float]:
        """Return the figures of this moment by their names."""
        ...


@runtime_checkable
class EngineBatches(Protocol):
    """An engine that speaks many jobs in one model."""

    @property
    def batch(self) -> Batch: ...


def batch_of(engine: object) -> Batch | None:
    return engine.batch if isinstance(engine, EngineBatches) else None
