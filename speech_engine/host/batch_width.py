"""How many rows take part in a step: fewer after a lack of memory, and then slowly more again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from speech_engine.host.batch_model import BatchModel, OutOfMemory, R, RowStep, V
from speech_engine.plugin import Logger

RECOVERY_STEPS = 500
"""The number of good steps after which a width that was halved for lack of memory grows by one row."""


class TakenStep(NamedTuple):
    """What became of the rows of a step, the first of those that were asked for, and how long it took."""

    states: tuple[RowStep, ...]
    seconds: float


class StepWidth:
    """The width of steps, `most` at best."""

    def __init__(self, most: int, log: Logger) -> None:
        self.rows = most
        self.halvings = 0
        self._most = most
        self._log = log
        self._good_steps = 0

    def __repr__(self) -> str:
        return f"<StepWidth {self.rows} of {self._most}>"

    def halve(self, rows: int) -> None:
        """Note that the device lacked memory for so many rows."""
        self.rows, self._good_steps = max(1, rows // 2), 0
        self.halvings += 1
        self._log.warning("batch.width.halved", width=self.rows)

    def step(self, model: BatchModel[V, R], rows: Sequence[R], clock: Callable[[], float]) -> TakenStep:
        """Take a step, or one with half of the rows if the device lacks memory for all.

        Raises OutOfMemory if it lacks memory for a row alone, or for half of them.
        """
        began = clock()
        try:
            states = model.step(rows)
        except OutOfMemory:
            if len(rows) == 1:
                raise
            self.halve(len(rows))
            began = clock()
            states = model.step(rows[: self.rows])
        taken = TakenStep(tuple(states), clock() - began)
        self._good_steps += 1
        if self.rows < self._most and self._good_steps % RECOVERY_STEPS == 0:
            self.rows += 1
        return taken
