"""The figures of several processes together. `BatchFigures` and `DeviceFigures` name them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_MEANS = (
    "step_width",
    "step_seconds",
    "device_memory_used_bytes",
    "device_memory_total_bytes",
    "device_utilisation",
)
"""These figures are not added up: an engine's processes have their mean, and each sees its whole card."""


def add_figures(figures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the figures of several processes together."""
    summed: dict[str, float] = {}
    for each in figures:
        for name, value in each.items():
            summed[name] = summed.get(name, 0.0) + (value / len(figures) if name in _MEANS else value)
    return summed
