"""Learns how long a step of so many rows takes: a fixed part, and a part for each row. Without a clock."""

from __future__ import annotations

_KEEPS = 0.98
"""The weight of the past. Fifty steps, a second or two, hide what was before."""

_LEAST_STEPS = 8
"""The first steps are slow: a device is still cold."""


class StepTimes:
    """A line through the measured steps, whose weights fade."""

    def __init__(self) -> None:
        self.steps = 0
        self._weight = self._rows = self._rows_squared = self._seconds = self._product = 0.0

    def __repr__(self) -> str:
        return f"<StepTimes of {self.steps} steps, {self.seconds(1)} s for one row>"

    @property
    def is_known(self) -> bool:
        return self.steps >= _LEAST_STEPS

    def learn(self, rows: int, seconds: float) -> None:
        self.steps += 1
        self._weight = self._weight * _KEEPS + 1.0
        self._rows = self._rows * _KEEPS + rows
        self._rows_squared = self._rows_squared * _KEEPS + rows * rows
        self._seconds = self._seconds * _KEEPS + seconds
        self._product = self._product * _KEEPS + rows * seconds

    def seconds(self, rows: int) -> float:
        """Predict a step of so many rows; 0 before anything was measured."""
        if not self.steps:
            return 0.0
        mean_rows, mean_s = self._rows / self._weight, self._seconds / self._weight
        spread = self._rows_squared / self._weight - mean_rows**2
        slope = (self._product / self._weight - mean_rows * mean_s) / spread if spread > 1e-6 else 0.0
        # Noise may tilt the line. A row never makes a step shorter, and never costs more than all of it.
        slope = min(max(slope, 0.0), mean_s / mean_rows)
        return mean_s + slope * (rows - mean_rows)
