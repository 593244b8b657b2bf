"""The figures of a batch, as the operator sees them: how wide and long its steps are, and who ran dry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

from speech_engine.host.batch_width import StepWidth
from speech_engine.host.continuity import Row
from speech_engine.values import Urgency

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
