"""The steps of a batch: their weight, the measuring of the first ones before a listener comes, and the
figures for the operator: the width and length of steps, and the listeners that ran dry.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Generic, get_args

from speech_engine.host.batch_model import BatchModel, OutOfMemory, R, RowStep, RowWork, V, WeighsRows
from speech_engine.host.continuity import Row, SoundPieces
from speech_engine.host.step_times import StepTimes
from speech_engine.plugin import Logger
from speech_engine.values import Urgency

RECOVERY_STEPS = 500
"""The number of good steps after which a width that was halved for lack of memory grows by one row."""


class StepWidth:
    """The width of a step: the weight that its rows may have together, `most` at best. A heavier row steps
    alone."""

    def __init__(self, most: float, log: Logger) -> None:
        self.weight = most
        self.halvings = 0
        self._most = most
        self._log = log
        self._good_steps = 0

    def _halve(self, weights: Sequence[float]) -> int:
        """Note that rows of these weights did not fit. Return how many of the first have half the weight."""
        fewer = max(1, bisect_right(list(accumulate(weights)), sum(weights) / 2))
        self.weight, self._good_steps = max(1.0, sum(weights[:fewer])), 0
        self.halvings += 1
        self._log.warning("batch.width.halved", width=self.weight)
        return fewer

    def step(
        self,
        model: BatchModel[V, R],
        rows: Sequence[R],
        weights: Sequence[float],
        clock: Callable[[], float],
    ) -> tuple[tuple[RowStep, ...], float]:
        """Take a step, or one with the first half of the rows if the device lacks memory for all. Return the
        states of the rows that took part, and the seconds of the step.

        Raises OutOfMemory if it lacks memory for a row alone, or for half of them.
        """
        began = clock()
        try:
            states = model.step(rows)
        except OutOfMemory:
            if len(rows) == 1:
                raise
            fewer = self._halve(weights)
            began = clock()
            states = model.step(rows[:fewer])
        states, seconds = tuple(states), clock() - began
        self._good_steps += 1
        if self.weight < self._most and self._good_steps % RECOVERY_STEPS == 0:
            self.weight = min(self._most, self.weight + sum(weights) / len(weights))
        return states, seconds


_COLD_ROUNDS = 2
"""So many first rounds are not measured unless it is late: a cold device is slower than later."""
_ROUNDS = 10
"""The first row takes part in twice as many steps: enough for two pieces of its sound."""
_HURRY_AFTER_S = 60.0
"""After this time one measured step is enough: a slow device would take minutes before the first job."""


class _SoundingRow:
    unheard_s = 0.0
    has_sounded = False


class WarmUp(Generic[V, R]):
    """Steps with one row and with many, by turns."""

    def __init__(
        self, model: BatchModel[V, R], width: StepWidth, times: StepTimes, pieces: SoundPieces
    ) -> None:
        self._model = model
        self._width = width
        self._times = times
        self._pieces = pieces
        self._rows: list[R] = []
        self._sounding = _SoundingRow()

    def run(self, rows: Sequence[R], clock: Callable[[], float], tick: Callable[[], None]) -> None:
        """Take the steps, and let the rows leave. If the device lacks memory for all, half of them go on."""
        self._rows = list(rows)
        late_at = clock() + _HURRY_AFTER_S
        try:
            for number in range(_ROUNDS):
                for most in (1, len(self._rows)):
                    is_late = clock() > late_at
                    if is_late and self._times.steps:
                        return
                    if self._rows:
                        is_measured = is_late or number >= _COLD_ROUNDS
                        self._step(self._rows[:most], clock, is_measured=is_measured)
                        tick()
        finally:
            for row in self._rows:
                self._model.leave(row)

    def _step(self, group: list[R], clock: Callable[[], float], *, is_measured: bool) -> None:
        weights = [work_of(self._model, row).weight for row in group]
        states, seconds = self._width.step(self._model, group, weights, clock)
        if is_measured:
            rows = len(states)
            self._times.learn(rows, seconds, sum(weights[:rows]))
        self._sounding.unheard_s += self._times.step_s
        state = states[0]
        if state.has_sound or state.is_over:
            sound_s = len(self._model.sound(group[0], state.is_over)) / 2 / self._model.rate_hz
            if not state.is_over:
                self._pieces.note(self._sounding, sound_s)
            else:
                self._sounding = _SoundingRow()
        over = [row for row, each in zip(group, states, strict=False) if each.is_over]
        # A row that lacked memory does not go on.
        for row in over + group[len(states) :]:
            self._rows.remove(row)
            self._model.leave(row)


def work_of(model: BatchModel[V, R], row: R) -> RowWork:
    return model.work(row) if isinstance(model, WeighsRows) else RowWork(0.0)


_PAST_WEIGHT = 0.98
"""The weight of the past in a mean: fifty steps, a second or two."""


class BatchFigures:
    """Counts what a batch does. Counters grow for ever; means are of the last seconds of work."""

    def __init__(self) -> None:
        self.dry_listeners = 0
        self._steps = 0
        self._recent_steps = self._weight = self._step_seconds = 0.0
        self._worked_s = self._sound_s = 0.0

    def note_step(self, weight: float, step_seconds: float, worked_s: float, sound_s: float) -> None:
        """Note a step, and the `worked_s` of its whole turn. It stands for `sound_s` seconds of sound."""
        if not weight:  # the step failed, and no row took part
            return
        self._steps += 1
        self._recent_steps = self._recent_steps * _PAST_WEIGHT + 1.0
        self._weight = self._weight * _PAST_WEIGHT + weight
        self._step_seconds = self._step_seconds * _PAST_WEIGHT + step_seconds
        self._worked_s = self._worked_s * _PAST_WEIGHT + worked_s
        self._sound_s = self._sound_s * _PAST_WEIGHT + sound_s

    def values(self, live: Sequence[Row], width: StepWidth) -> dict[str, float]:
        """Return all figures by name. The server's metrics page says what each means."""
        count = self._recent_steps or 1.0
        rows = {f"rows_{urgency}": 0.0 for urgency in get_args(Urgency)}
        for row in live:
            rows[f"rows_{row.listener.urgency}"] += 1
        return {
            **rows,
            "steps": self._steps,
            "step_width": self._weight / count,
            "step_width_limit": width.weight,
            "step_seconds": self._step_seconds / count,
            "realtime_factor": self._sound_s / self._worked_s if self._worked_s else 0.0,
            "dry_listeners": self.dry_listeners,
            "width_halvings": width.halvings,
        }
