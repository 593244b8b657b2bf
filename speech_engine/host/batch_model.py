"""The protocol of an engine with a `BatchLoop`: a model that makes the sound of many texts at once, step by
step, and its settings.

Every method of a model runs on the one model thread, so it needs no lock; only `expected` runs on any thread.
A row is one segment of one job.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

import msgspec

from speech_engine.model_files import UnusableModel
from speech_engine.redacted import Redacted
from speech_engine.values import SpeechJob

V = TypeVar("V")
"""A voice as the engine derived it of a job: a speaker's embedding, for example."""

R = TypeVar("R")
"""A row, in the model's own form."""


class OutOfMemory(Exception):
    """The device has no memory for a step. A model raises it before it has changed any row.

    The loop then calls again once, with half of the rows by their weight. A second one ends the host. If the
    step had one row alone, or `join` raises it, that row ends and the others go on.
    """


class RowSpec(Redacted, msgspec.Struct, Generic[V], frozen=True):
    """A segment to speak. The `seed` is from 0 to 2**63 - 1, for a generator that belongs to this row alone:
    then the row sounds the same in any company. A row of a conversion has no text, but a `window`: the
    engine's preparation of a stretch of the recording."""

    job: SpeechJob
    segment: int
    spoken: str
    seed: int
    voice: V
    window: Any = None


class RowStep(NamedTuple):
    """A row after a step. It `has_sound` if it has enough for the smallest useful piece: the loop takes that
    when its listener needs it. If it `is_over`, no more sound will come."""

    has_sound: bool
    is_over: bool


class BatchModel(Protocol[V, R]):
    """A model in memory, with its rows."""

    @property
    def rate_hz(self) -> int: ...

    def join(self, spec: RowSpec[V]) -> R:
        """Read the text and return a new row. Any exception ends this row alone."""
        ...

    def step(self, rows: Sequence[R]) -> Sequence[RowStep]:
        """Take one step with these rows, and return the state of each, in the same order.

        It changes all of them or, if it raises OutOfMemory, none. Any other exception ends the host.
        """
        ...

    def sound(self, row: R, is_last: bool) -> bytes:
        """Return the row's new PCM, 16-bit mono. Any exception ends this row alone."""
        ...

    def leave(self, row: R) -> None:
        """Forget a row. Each row that joined leaves once: at its end, or before it."""
        ...


class RowWork(NamedTuple):
    """The seconds of sound that a row makes, and their cost.

    Without `steps`, a row flows: each step makes some of its sound. With them, it is heard as a whole after
    so many steps, and not before. How long a step takes follows from the `weight` of its rows together.
    """

    seconds: float
    weight: float = 1.0
    steps: int = 0

    def worth_s(self, step_s: float) -> float:
        """Return the seconds of sound that flowing rows of weight 1.0 would make at the same cost."""
        return self.weight * self.steps * step_s if self.steps else self.seconds

    def sound_of_step_s(self, step_s: float) -> float:
        return self.seconds / self.steps if self.steps else step_s


@runtime_checkable
class WeighsRows(BatchModel[V, R], Protocol[V, R]):
    """A model with its own costs of rows. In any other model all rows flow, and each has a weight of 1.0."""

    def expected(self, job: SpeechJob, voice: V | None) -> Sequence[RowWork]:
        """Tell the rows that a job will be, in their order: with a voice, one for each of its segments.

        Without a voice, the caller only tests whether the job fits: an estimate of any number of rows will
        do. Any thread may call it, and often. It must be quick, have no effect, and not raise.
        """
        ...

    def work(self, row: R) -> RowWork:
        """Return the cost of a row that has just joined or is to warm up, with all of its steps."""
        ...


Order = Literal["slack", "fifo"]

_Count = Annotated[int, msgspec.Meta(ge=1)]


class BatchSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings of a batch. An engine's own settings inherit them.

    `slots` listeners are admitted. `rows` segments are in the model's memory, and `width` of them, never more
    than `rows`, take part in a step. If a model weighs its rows, `width` is the weight of a step. A new
    listener should hear something within `first_audio_s`. The `order` of steps is by slack; `fifo` is there
    to compare.
    """

    slots: _Count = 24
    rows: _Count = 32
    width: _Count = 16
    joins_per_step: _Count = 2
    first_audio_s: Annotated[float, msgspec.Meta(gt=0.0)] = 0.3
    order: Order = "slack"


class TorchSettings(BatchSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`model_path` is the folder of the model; the server fills it in for an imported one.

    `threads` of the processor may work on one step.
    """

    model_path: str = ""
    threads: Annotated[int, msgspec.Meta(ge=1)] = 1

    def folder(self, section: str) -> Path:
        """Return the folder of the model. Raise UnusableModel if the section names none."""
        if not self.model_path:
            raise UnusableModel(f"[engines.{section}] names no model: import one, and name it as model")
        return Path(self.model_path)
