"""The lines of a dub in samples, the rules for fitting them, and the result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

FASTEST_OF_SPEAKER, FASTEST_OF_LINE = 1.2, 1.25
"""The most of the two factors of a line's pace: of its speaker, and of the line itself."""
MOST_PACE, USUAL_PACE = 1.5, 1.35
SLOWEST = 0.9
"""The slowest pace. Without `fill`, no line is slower than it was spoken."""
LATE_MS = 200
"""A line that begins later than so much is late."""
_PACE_STEP = 0.025


class FitRules(NamedTuple):
    """The most pace of a line, and whether lines may be slower than they were spoken, to fill their time."""

    most_pace: float = USUAL_PACE
    fills: bool = False


class Lines(NamedTuple):
    """The lines of a dub in their order: where each should begin and end, how long it was spoken, all in
    samples, and the number of its speaker. With `may_overlap`, only lines of one speaker must not overlap."""

    starts: Sequence[int]
    ends: Sequence[int]
    lengths: Sequence[int]
    speakers: Sequence[int]
    rate_hz: int
    may_overlap: bool = False


class Fit(NamedTuple):
    """The plan of each line: where it begins, and its pace, which is that of its speaker times its own."""

    starts: list[int]
    paces: list[float]
    of_speakers: dict[int, float]

    def is_late(self, lines: Lines, number: int) -> bool:
        return (self.starts[number] - lines.starts[number]) * 1000 > LATE_MS * lines.rate_hz


def fitted_length(samples: int, pace: float) -> int:
    """Return the samples of a sound at this pace, as `Speed` makes them."""
    return round(samples / pace)


def paces_between(least: float, most: float) -> list[float]:
    """Return the paces between these, by steps."""
    return [round(least + n * _PACE_STEP, 6) for n in range(int((most - least) / _PACE_STEP + 1e-6) + 1)]
