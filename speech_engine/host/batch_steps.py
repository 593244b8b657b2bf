"""The steps of a batch: how many rows take part, how the first ones are measured before anybody listens, and
the figures that the operator sees: how wide and long steps are, and who ran dry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, NamedTuple, get_args

from speech_engine.host.batch_model import BatchModel, OutOfMemory, R, RowStep, V
from speech_engine.host.continuity import Row, SoundPieces
from speech_engine.host.step_times import StepTimes
from speech_engine.plugin import Logger
from speech_engine.values import Urgency

RECOVERY_STEPS = 500
"""The number of good steps after which a width that was halved for lack of memory grows by one row."""


class TakenStep(NamedTuple):
    """What became of the first rows that a step was to take, and how long it took."""

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


_COLD_ROUNDS = 2
_ROUNDS = 10
"""A row takes part in twice as many steps: enough for two pieces of its sound."""


class _HeardRow:
    """The row whose sound is made."""

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
        self._heard = _HeardRow()

    def run(self, rows: Sequence[R], clock: Callable[[], float], tick: Callable[[], None]) -> None:
        """Take the steps, and let the rows leave. If the device lacks memory for all, half of them go on."""
        self._rows = list(rows)
        try:
            for number in range(_ROUNDS):
                for most in (1, len(self._rows)):
                    if most and self._rows:
                        self._step(self._rows[:most], clock, is_measured=number >= _COLD_ROUNDS)
                        tick()
        finally:
            for row in self._rows:
                self._model.leave(row)

    def _step(self, group: list[R], clock: Callable[[], float], *, is_measured: bool) -> None:
        taken = self._width.step(self._model, group, clock)
        if is_measured:
            self._times.learn(len(taken.states), taken.seconds)
        self._heard.unheard_s += self._times.step_s
        state = taken.states[0]
        if state.has_sound or state.is_over:
            seconds = len(self._model.sound(group[0], state.is_over)) / 2 / self._model.rate_hz
            if not state.is_over:
                self._pieces.note(self._heard, seconds)
            else:
                self._heard = _HeardRow()
        over = [row for row, each in zip(group, taken.states, strict=False) if each.is_over]
        # What lacked memory does not go on.
        for row in over + group[len(taken.states) :]:
            self._rows.remove(row)
            self._model.leave(row)


_KEEPS = 0.98
"""The weight of the past in a mean: fifty steps, a second or two."""


_MEANS = (
    "step_width",
    "step_seconds",
    "device_memory_used_bytes",
    "device_memory_total_bytes",
    "device_utilisation",
)
"""These are no sums: an engine's processes have a mean of them, and each sees its whole card."""


def add_figures(figures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the figures of several processes together."""
    summed: dict[str, float] = {}
    for each in figures:
        for name, value in each.items():
            summed[name] = summed.get(name, 0.0) + (value / len(figures) if name in _MEANS else value)
    return summed


class BatchFigures:
    """Counts what a batch does. Counters grow for ever; means are of the last seconds of work."""

    def __init__(self) -> None:
        self.dry_listeners = 0
        self._steps = 0
        self._weight = self._rows = self._step_seconds = 0.0
        self._worked_s = self._sound_s = 0.0

    def __repr__(self) -> str:
        return f"<BatchFigures of {self._steps} steps, {self.dry_listeners} dry listeners>"

    def note_step(self, rows: int, step_seconds: float, worked_s: float, sound_s: float) -> None:
        """Note a step of so many rows, and with it `worked_s` in all. It made `sound_s` seconds of each."""
        if not rows:
            return
        self._steps += 1
        self._weight = self._weight * _KEEPS + 1.0
        self._rows = self._rows * _KEEPS + rows
        self._step_seconds = self._step_seconds * _KEEPS + step_seconds
        self._worked_s = self._worked_s * _KEEPS + worked_s
        self._sound_s = self._sound_s * _KEEPS + rows * sound_s

    def values(self, live: Sequence[Row], width: StepWidth) -> dict[str, float]:
        """Return all figures by name. The server's metrics page says what each means."""
        weight = self._weight or 1.0
        rows = {f"rows_{urgency}": 0.0 for urgency in get_args(Urgency)}
        for row in live:
            rows[f"rows_{row.listener.urgency}"] += 1
        return {
            **rows,
            "steps": self._steps,
            "step_width": self._rows / weight,
            "step_width_limit": width.rows,
            "step_seconds": self._step_seconds / weight,
            "realtime_factor": self._sound_s / self._worked_s if self._worked_s else 0.0,
            "dry_listeners": self.dry_listeners,
            "width_halvings": width.halvings,
        }
