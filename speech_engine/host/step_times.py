"""Learns how long a step of so many rows takes: a fixed part, and a part for each row. Without a clock."""

from __future__ import annotations

from collections.abc import Iterable

from speech_engine.host.beside_steps import BesideSteps

MARGIN = 0.95
"""The part of the measured speed that is promised: estimates of lengths are too low now and then."""

_KEEPS = 0.98
"""The weight of the past. Fifty steps, a second or two, hide what was before."""

_LEAST_WEIGHT = 1.0
"""What a width keeps for ever: a minute with one listener must not hide what a step of many rows takes."""

_LEAST_STEPS = 8
"""The first steps are slow: a device is still cold."""


class _Width:
    """The steps of one width, whose weights fade."""

    def __init__(self) -> None:
        self.weight = self.seconds = 0.0

    def fade(self) -> None:
        keeps = max(_KEEPS, _LEAST_WEIGHT / self.weight)
        self.weight *= keeps
        self.seconds *= keeps


class StepTimes:
    """A line through the measured steps of all widths. Each step makes `step_s` seconds of a row's sound."""

    def __init__(self, step_s: float) -> None:
        self.steps = 0
        self.step_s = step_s
        self.beside = BesideSteps()
        self._widths: dict[int, _Width] = {}
        self._line = (0.0, 0.0, 0.0)

    def __repr__(self) -> str:
        return f"<StepTimes of {self.steps} steps, {self.seconds(1)} s for one row>"

    @property
    def is_known(self) -> bool:
        return self.steps >= _LEAST_STEPS

    def learn(self, rows: int, seconds: float) -> None:
        self.steps += 1
        for each in self._widths.values():
            each.fade()
        width = self._widths.setdefault(rows, _Width())
        width.weight += 1.0
        width.seconds += seconds
        self._draw()

    def seconds(self, rows: int) -> float:
        """Predict a step of so many rows; 0 before anything was measured."""
        mean_rows, mean_s, slope = self._line
        return mean_s + slope * (rows - mean_rows)

    def turn_s(self, rows: int) -> float:
        """Predict a step, and the work beside it that the sound of so many rows needs."""
        return max(1e-9, self.seconds(rows) + rows * self.step_s * self.beside.rate)

    def widest(self, rates: Iterable[float], most: int) -> int:
        """Return the widest step, of `most` rows, in which each listener gets sound as fast as it is heard.

        A row takes one step after another, so a wide step can be too slow for it though the device makes
        enough for all. A rate that is beyond a step of one row limits nobody: fewer rows would not help.
        """
        fastest = max((rate for rate in rates if self._keeps_up(1, rate)), default=0.0)
        while most > 1 and not self._keeps_up(most, fastest):
            most -= 1
        return most

    def _keeps_up(self, rows: int, rate: float) -> bool:
        return self.turn_s(rows) * rate <= self.step_s * MARGIN

    def _draw(self) -> None:
        widths = self._widths.items()
        weight = sum(each.weight for _, each in widths)
        mean_rows = sum(rows * each.weight for rows, each in widths) / weight
        mean_s = sum(each.seconds for _, each in widths) / weight
        spread = sum((rows - mean_rows) ** 2 * each.weight for rows, each in widths)
        product = sum((rows - mean_rows) * each.seconds for rows, each in widths)
        slope = product / spread if spread > 1e-6 else 0.0
        # Noise may tilt the line. A row never makes a step shorter, and never costs more than all of it.
        # At once: the gate reads it in another thread.
        self._line = (mean_rows, mean_s, min(max(slope, 0.0), mean_s / mean_rows))
