"""Where the lines of a dub begin, and how fast they are spoken. Pure: numbers in, numbers out.

One pace a speaker comes first. Then dynamic programming over the delay and the pace of each line finds the
cheapest plan without an overlap: a short delay is nearly free, a long one is very dear, and so is a pace that
changes beside a neighbour. All costs are those of voxgate's measurements.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.floating[Any]]

FASTEST_OF_SPEAKER, FASTEST_OF_LINE = 1.2, 1.25
MOST_PACE, USUAL_PACE = 1.5, 1.35
SLOWEST = 0.9
"""With `fill` alone."""
LATE_MS = 200
_STEP = 0.025
_GRID_MS = 20
_MOST_DELAY_MS = 6_000
_DELAYS = _MOST_DELAY_MS // _GRID_MS + 1
_FREE_MS = 80
"""The pause that most lines should have before the next one."""
_IN_TIME = 0.85
_NEAR_MS, _FAR_MS = 700, 2_000
_CHANGE, _FAR_CHANGE, _PACE = 400.0, 0.3, 120.0


class FitRules(NamedTuple):
    """The most pace of a line, and whether lines may be slower than they were spoken, to fill their time."""

    most_pace: float = USUAL_PACE
    fills: bool = False


class Lines(NamedTuple):
    """The lines of a dub in their order: where each should begin and end, how long it was spoken, all in
    samples, and the number of its speaker. With `overlaps`, only lines of one speaker must not overlap."""

    starts: Sequence[int]
    ends: Sequence[int]
    lengths: Sequence[int]
    speakers: Sequence[int]
    rate_hz: int
    may_overlap: bool = False


class Fit(NamedTuple):
    """The plan of each line: where it begins, and its pace, which has both factors."""

    starts: list[int]
    paces: list[float]
    of_speakers: dict[int, float]

    def is_late(self, lines: Lines, number: int) -> bool:
        return (self.starts[number] - lines.starts[number]) * 1000 > LATE_MS * lines.rate_hz


def fitted_length(samples: int, pace: float) -> int:
    """Return the samples of a sound at this pace, as `Speed` makes them."""
    return round(samples / pace)


def fit(lines: Lines, rules: FitRules) -> Fit:
    """Plan the lines. It takes a second of processor for 5,000 of them."""
    count = len(lines.starts)
    every = range(count)
    own = {speaker: [n for n in every if lines.speakers[n] == speaker] for speaker in set(lines.speakers)}
    following = _following(lines.starts, lines.ends)
    if lines.may_overlap:
        for numbers in own.values():
            for number, then in pairwise(numbers):
                following[number] = lines.starts[then]
            following[numbers[-1]] = _last_end(lines.starts, lines.ends, numbers[-1])
    of_speakers = {
        speaker: _pace_of_speaker(lines, numbers, following, rules) for speaker, numbers in own.items()
    }
    starts, paces = [0] * count, [1.0] * count
    for numbers in own.values() if lines.may_overlap else [[*every]]:
        first = np.array([of_speakers[lines.speakers[n]] for n in numbers])
        more = _cheapest(lines, numbers, first, rules)
        free_at = 0
        for number, by_speaker, by_line in zip(numbers, first, more, strict=True):
            paces[number] = round(min(float(by_speaker * by_line), max(rules.most_pace, 1.0)), 6)
            starts[number] = max(free_at, lines.starts[number])
            free_at = starts[number] + fitted_length(lines.lengths[number], paces[number])
    return Fit(starts, paces, of_speakers)


def _following(starts: Sequence[int], ends: Sequence[int]) -> list[int]:
    """Return for each line where the next one begins."""
    return [*starts[1:], _last_end(starts, ends, len(starts) - 1)] if starts else []


def _last_end(starts: Sequence[int], ends: Sequence[int], number: int) -> int:
    return max(starts[number], ends[number])


def _pace_of_speaker(
    lines: Lines, numbers: Sequence[int], following: Sequence[int], rules: FitRules
) -> float:
    """Return the least pace at which most lines of a speaker end before the next one begins."""
    lengths = np.array([lines.lengths[n] for n in numbers], float)
    free = np.array([following[n] - lines.starts[n] for n in numbers]) - _FREE_MS * lines.rate_hz / 1000
    most = min(FASTEST_OF_SPEAKER, rules.most_pace)
    for pace in _paces(1.0, most):
        if np.mean(lengths / pace <= free) >= _IN_TIME:
            return float(pace)
    return max(1.0, most)


def _paces(least: float, most: float) -> Numbers:
    return np.round(np.arange(least, most + 1e-9, _STEP), 6)


def _cheapest(lines: Lines, numbers: Sequence[int], first: Numbers, rules: FitRules) -> Numbers:
    """Return the second factor of each of these lines, by the cheapest plan."""
    ms = 1000 / lines.rate_hz
    starts = np.array([lines.starts[n] for n in numbers]) * ms
    slots = np.array([max(0, lines.ends[n] - lines.starts[n]) for n in numbers]) * ms
    lengths = np.array([lines.lengths[n] for n in numbers]) * ms / first
    gaps = np.append(np.maximum(0, starts[1:] - starts[:-1] - lengths[:-1]), np.inf)
    paces = _paces(SLOWEST if rules.fills else 1.0, FASTEST_OF_LINE)
    changes = _CHANGE * np.square(paces[:, None] - paces[None, :])
    late = _delay_costs()
    wanted = np.clip(lengths / np.maximum(slots, 1), SLOWEST, 1.0) if rules.fills else np.ones(len(numbers))
    # The least cost of a plan up to this line, by its delay and the pace of the line before.
    costs = np.full((_DELAYS, len(paces)), np.inf)
    costs[0, :] = 0.0
    chosen, sources = list[NDArray[Any]](), list[NDArray[Any]]()
    for number in range(len(numbers)):
        near = 0.0 if number == 0 else _nearness(gaps[number - 1])
        # Few delays can be reached at most lines.
        reach = int(np.flatnonzero(np.isfinite(costs).any(axis=1))[-1]) + 1
        whole = costs[:reach, :, None] + near * changes
        chosen.append(whole.argmin(axis=1).astype(np.int8))
        own = _PACE * np.square(paces - wanted[number])
        own[(paces * first[number] > rules.most_pace + 1e-9) & (paces > 1.0)] = np.inf
        best = whole.min(axis=1) + late[:reach, None] + own
        ends = starts[number] + lengths[number] / paces
        then = starts[number + 1] if number + 1 < len(numbers) else np.inf
        shifts = np.ceil(np.clip((ends - then) / _GRID_MS, -_DELAYS, _DELAYS)).astype(int)
        costs, source = _shifted(best, shifts)
        sources.append(source)
    return np.asarray(paces[_traced(costs, chosen, sources)])


def _delay_costs() -> Numbers:
    delays = np.arange(_DELAYS) * _GRID_MS
    short = 0.4 * np.square(delays / LATE_MS)
    return np.asarray(np.where(delays <= LATE_MS, short, 12 + np.square((delays - LATE_MS) / 100)))


def _nearness(gap_ms: float) -> float:
    return 1.0 if gap_ms < _NEAR_MS else _FAR_CHANGE if gap_ms < _FAR_MS else 0.0


def _shifted(best: Numbers, shifts: NDArray[Any]) -> tuple[Numbers, NDArray[Any]]:
    """Return the costs by the delay of the next line, and from which delay of this line each comes."""
    costs = np.full((_DELAYS, len(shifts)), np.inf)
    sources = np.zeros(costs.shape, np.int16)
    places = np.arange(len(best))
    for column, shift in enumerate(shifts):
        to = np.clip(places + shift, 0, _DELAYS - 1)
        first, last = np.searchsorted(to, [1, _DELAYS - 1])
        costs[to[first:last], column] = best[first:last, column]
        sources[to[first:last], column] = places[first:last]
        # All delays that fit become none, and those that are too long become the longest one.
        for part in (slice(0, first), slice(last, None)):
            if len(places[part]):
                source = places[part][best[part, column].argmin()]
                costs[to[source], column], sources[to[source], column] = best[source, column], source
    return costs, sources


def _traced(costs: Numbers, chosen: Sequence[NDArray[Any]], sources: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return the number of each line's pace, from the last line back to the first."""
    delay, pace = np.unravel_index(int(costs.argmin()), costs.shape)
    found = np.zeros(len(chosen), int)
    for number in range(len(chosen) - 1, -1, -1):
        found[number] = pace
        delay = sources[number][delay, pace]
        pace = chosen[number][delay, pace]
    return found
