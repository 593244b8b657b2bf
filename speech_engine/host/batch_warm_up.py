"""Measures steps before anybody listens, so that the first listeners are not let in blindly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic

from speech_engine.host.batch_model import BatchModel, R, V
from speech_engine.host.batch_width import StepWidth
from speech_engine.host.sound_pieces import SoundPieces
from speech_engine.host.step_times import StepTimes

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

    def __repr__(self) -> str:
        return f"<WarmUp of {self._width!r}>"

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
