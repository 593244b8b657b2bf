"""The cheapest plan of a dub's lines, by dynamic programming over the delay and the pace of each line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy.features.dubs.line_values import FASTEST_OF_LINE, LATE_MS, SLOWEST, FitRules, Lines, paces_between

Numbers = NDArray[np.floating[Any]]

_GRID_MS = 20
_MOST_DELAY_MS = 6_000
_DELAYS = _MOST_DELAY_MS // _GRID_MS + 1
_NEAR_GAP_MS, _FAR_GAP_MS = 700, 2_000
_CHANGE_COST, _FAR_CHANGE_WEIGHT, _PACE_COST = 400.0, 0.3, 120.0


def cheapest_paces(
    lines: Lines, numbers: Sequence[int], of_speakers: Sequence[float], rules: FitRules
) -> list[float]:
    """Return the second factor of each of these lines, by the cheapest plan. The first one is the pace of its
    speaker, in `of_speakers`."""
    speaker_paces = np.array(of_speakers)
    ms = 1000 / lines.rate_hz
    starts = np.array([lines.starts[n] for n in numbers]) * ms
    slots = np.array([max(0, lines.ends[n] - lines.starts[n]) for n in numbers]) * ms
    lengths = np.array([lines.lengths[n] for n in numbers]) * ms / speaker_paces
    gaps = np.append(np.maximum(0, starts[1:] - starts[:-1] - lengths[:-1]), np.inf)
    line_paces = np.array(paces_between(SLOWEST if rules.fills else 1.0, FASTEST_OF_LINE))
    changes = _CHANGE_COST * np.square(line_paces[:, None] - line_paces[None, :])
    delay_costs = _delay_costs()
    wanted = np.clip(lengths / np.maximum(slots, 1), SLOWEST, 1.0) if rules.fills else np.ones(len(numbers))
    # The least cost of a plan up to this line, by its delay and the pace of the line before.
    costs = np.full((_DELAYS, len(line_paces)), np.inf)
    costs[0, :] = 0.0
    chosen, sources = list[NDArray[Any]](), list[NDArray[Any]]()
    for number in range(len(numbers)):
        weight = 0.0 if number == 0 else _change_weight(gaps[number - 1])
        # Few delays can be reached at most lines.
        reach = int(np.flatnonzero(np.isfinite(costs).any(axis=1))[-1]) + 1
        whole = costs[:reach, :, None] + weight * changes
        chosen.append(whole.argmin(axis=1).astype(np.int8))
        pace_costs = _PACE_COST * np.square(line_paces - wanted[number])
        is_too_fast = (line_paces * speaker_paces[number] > rules.most_pace + 1e-9) & (line_paces > 1.0)
        pace_costs[is_too_fast] = np.inf
        best = whole.min(axis=1) + delay_costs[:reach, None] + pace_costs
        ends = starts[number] + lengths[number] / line_paces
        next_start = starts[number + 1] if number + 1 < len(numbers) else np.inf
        shifts = np.ceil(np.clip((ends - next_start) / _GRID_MS, -_DELAYS, _DELAYS)).astype(int)
        costs, source = _shift_costs(best, shifts)
        sources.append(source)
    return [float(pace) for pace in line_paces[_trace_paces(costs, chosen, sources)]]


def _delay_costs() -> Numbers:
    delays = np.arange(_DELAYS) * _GRID_MS
    short = 0.4 * np.square(delays / LATE_MS)
    return np.asarray(np.where(delays <= LATE_MS, short, 12 + np.square((delays - LATE_MS) / 100)))


def _change_weight(gap_ms: float) -> float:
    far_weight = _FAR_CHANGE_WEIGHT if gap_ms < _FAR_GAP_MS else 0.0
    return 1.0 if gap_ms < _NEAR_GAP_MS else far_weight


def _shift_costs(best: Numbers, shifts: NDArray[Any]) -> tuple[Numbers, NDArray[Any]]:
    """Return the costs by the delay of the next line, and from which delay of this line each comes."""
    costs = np.full((_DELAYS, len(shifts)), np.inf)
    sources = np.zeros(costs.shape, np.int16)
    delays = np.arange(len(best))
    for column, shift in enumerate(shifts):
        to = np.clip(delays + shift, 0, _DELAYS - 1)
        first, last = np.searchsorted(to, [1, _DELAYS - 1])
        costs[to[first:last], column] = best[first:last, column]
        sources[to[first:last], column] = delays[first:last]
        # All delays that fit become none, and those that are too long become the longest one.
        for part in (slice(0, first), slice(last, None)):
            if len(delays[part]):
                source = delays[part][best[part, column].argmin()]
                costs[to[source], column], sources[to[source], column] = best[source, column], source
    return costs, sources


def _trace_paces(
    costs: Numbers, chosen: Sequence[NDArray[Any]], sources: Sequence[NDArray[Any]]
) -> NDArray[Any]:
    """Return the number of each line's pace, from the last line back to the first."""
    delay, pace = np.unravel_index(int(costs.argmin()), costs.shape)
    found = np.zeros(len(chosen), int)
    for number in range(len(chosen) - 1, -1, -1):
        found[number] = pace
        delay = sources[number][delay, pace]
        pace = chosen[number][delay, pace]
    return found
