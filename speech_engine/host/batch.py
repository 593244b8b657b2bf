"""The interface by which a host asks an engine that speaks many jobs in one model whether a further job
fits."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from speech_engine.values import SpeechJob


class Batch(Protocol):
    """Tells whether a further job fits: `BatchLoop` for jobs in one batch, `Listeners` for jobs side by side.

    If it `predicts_waits`, a job's wait is the time that it tells. Otherwise the slots predict the wait.
    """

    predicts_waits: bool

    def fits_in_s(self, job: SpeechJob, admitted: tuple[SpeechJob, ...]) -> float:
        """Return 0 if the job may begin, else the time until it may. `admitted` begin just now."""
        ...

    def goes_on(self, job: SpeechJob) -> bool:
        """Tell whether a job is a further part of an answer that has begun here."""
        ...

    def figures(self) -> dict[str, float]: ...


@runtime_checkable
class EngineBatches(Protocol):
    """An engine that speaks many jobs in one model."""

    @property
    def batch(self) -> Batch: ...


def batch_of(engine: object) -> Batch | None:
    return engine.batch if isinstance(engine, EngineBatches) else None
