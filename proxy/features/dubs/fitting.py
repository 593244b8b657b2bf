"""Where the lines of a dub begin, and how fast they are spoken. Pure: numbers in, numbers out.

One pace a speaker comes first. Then dynamic programming over the delay and the pace of each line finds the
cheapest plan without an overlap: a short delay costs little, and a long one very much, as does a pace that
differs from that of a near line.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from proxy.features.dubs.line_values import (
    FASTEST_OF_SPEAKER,
    LATE_MS,
    Fit,
    FitRules,
    Lines,
    fitted_length,
    paces_between,
)

_LEAST_PAUSE_MS = 80
"""The least pause of most lines before the next one. A delayed line has as much of it as delays neither the
line itself beyond `LATE_MS` nor the next one at all: pauses that add up would delay a whole dialogue."""
_IN_TIME_PERCENT = 85


def fit_lines(lines: Lines, rules: FitRules, samples: int | None = None) -> Fit:
    """Plan the lines, of a track with so many samples. It takes a second of processor for 5,000 of them."""
    # Imported here: it loads numpy, which a worker does once it needs it.
    from proxy.features.dubs.cheapest_plan import cheapest_paces

    count = len(lines.starts)
    if not count:
        return Fit([], [], {})
    every = range(count)
    numbers_by_speaker = {
        speaker: [n for n in every if lines.speakers[n] == speaker] for speaker in set(lines.speakers)
    }
    next_starts = [*lines.starts[1:], _last_end(lines.starts, lines.ends, count - 1)]
    if lines.may_overlap:
        for numbers in numbers_by_speaker.values():
            for number, next_number in pairwise(numbers):
                next_starts[number] = lines.starts[next_number]
            next_starts[numbers[-1]] = _last_end(lines.starts, lines.ends, numbers[-1])
    of_speakers = {
        speaker: _pace_of_speaker(lines, numbers, next_starts, rules)
        for speaker, numbers in numbers_by_speaker.items()
    }
    starts, paces = [0] * count, [1.0] * count
    pause, late = (ms * lines.rate_hz // 1000 for ms in (_LEAST_PAUSE_MS, LATE_MS))
    for numbers in numbers_by_speaker.values() if lines.may_overlap else [[*every]]:
        speaker_paces = [of_speakers[lines.speakers[n]] for n in numbers]
        line_paces = cheapest_paces(lines, numbers, speaker_paces, rules)
        free_at = 0
        for number, by_speaker, by_line in zip(numbers, speaker_paces, line_paces, strict=True):
            paces[number] = round(min(by_speaker * by_line, max(rules.most_pace, 1.0)), 6)
            begin, length = lines.starts[number], fitted_length(lines.lengths[number], paces[number])
            paused = min(free_at + pause, begin + late, next_starts[number] - length)
            starts[number] = max(free_at, paused) if free_at > begin else begin
            free_at = starts[number] + length
        # No line is delayed by the last one, but the track may cut it.
        last = numbers[-1]
        if samples is not None and (room := samples - starts[last]) > 0:
            paces[last] = max(paces[last], min(lines.lengths[last] / room, rules.most_pace))
    return Fit(starts, paces, of_speakers)


def _last_end(starts: Sequence[int], ends: Sequence[int], number: int) -> int:
    return max(starts[number], ends[number])


def _pace_of_speaker(
    lines: Lines, numbers: Sequence[int], next_starts: Sequence[int], rules: FitRules
) -> float:
    """Return the least pace at which most lines of a speaker end before the next one begins."""
    most = min(FASTEST_OF_SPEAKER, rules.most_pace)
    pause = _LEAST_PAUSE_MS * lines.rate_hz / 1000
    # A line that is too long at the greatest pace, too, hurries no other one.
    needed = [lines.lengths[n] / max(1.0, next_starts[n] - lines.starts[n] - pause) for n in numbers]
    can_fit = [each for each in needed if each <= max(1.0, rules.most_pace)]
    for pace in paces_between(1.0, most) if can_fit else ():
        if sum(each <= pace for each in can_fit) >= len(can_fit) * _IN_TIME_PERCENT // 100:
            return pace
    return max(1.0, most)
