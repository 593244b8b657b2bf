"""The plan of a dub: no overlaps, few late lines, and no jumps of the pace."""

import random
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.features.dubs.fitting import fit_lines
from proxy.features.dubs.line_values import LATE_MS, MOST_PACE, Fit, FitRules, Lines, fitted_length
from tests.tables import each_row

RATE_HZ = 1000
PAUSE_MS = 80


def lines_to_fit(cues: list[tuple[int, int, int]], speakers: list[int] | None = None, **more: bool) -> Lines:
    """Return lines by the start, the end and the spoken length of each, in milliseconds."""
    starts, ends, lengths = zip(*cues, strict=True)
    return Lines(starts, ends, lengths, speakers or [0] * len(cues), RATE_HZ, **more)


def film(count: int, seed: int) -> Lines:
    """Return lines as broadcasters time them: 15.5 characters a second, most with a short pause behind."""
    dice, at, cues, speakers = random.Random(seed), 1000, list[tuple[int, int, int]](), list[int]()
    for _ in range(count):
        takes = round(min(7000, max(830, dice.gauss(2800, 1200))))
        spoken = round(takes * 15.5 / 16.5 * min(1.35, max(0.6, dice.gauss(1.0, 0.12))))
        cues.append((at, at + takes, spoken))
        at += takes + (83 if dice.random() < 0.55 else dice.randrange(200, 3000))
        speakers.append(dice.randrange(2))
    return lines_to_fit(cues, speakers)


def jumps(lines: Lines, made: Fit) -> int:
    """Count the paces that are 0.1 away from that of a neighbour less than 0.7 s off."""
    by_line = [pace / made.of_speakers[who] for pace, who in zip(made.paces, lines.speakers, strict=True)]
    lengths = map(fitted_length, lines.lengths, made.paces)
    ends = [start + length for start, length in zip(made.starts, lengths, strict=True)]
    near = [then - end < 700 for end, then in zip(ends, made.starts[1:], strict=False)]
    return sum(is_near and abs(a - b) > 0.1 for is_near, (a, b) in zip(near, pairwise(by_line), strict=True))


CUE = st.tuples(st.integers(0, 60_000), st.integers(0, 8_000), st.integers(0, 15_000), st.integers(0, 3))


@given(st.lists(CUE, min_size=1, max_size=30), st.floats(1.0, MOST_PACE), st.booleans(), st.booleans())
def test_nothing_overlaps_and_no_pace_passes_its_bounds(
    cues: list[tuple[int, int, int, int]], most: float, fills: bool, may_overlap: bool
) -> None:
    cues.sort()
    speakers = [who for *_, who in cues]
    lines = lines_to_fit(
        [(at, at + takes, spoken) for at, takes, spoken, _ in cues], speakers, may_overlap=may_overlap
    )
    made = fit_lines(lines, FitRules(most, fills))
    least = 0.9 if fills else 1.0
    assert all(least <= pace <= max(most, 1.0) + 1e-6 for pace in made.paces)
    assert all(start >= wanted for start, wanted in zip(made.starts, lines.starts, strict=True))
    for who in {*speakers} if may_overlap else {None}:
        own = [n for n, each in enumerate(speakers) if who in (None, each)]
        for before, after in pairwise(own):
            length = fitted_length(lines.lengths[before], made.paces[before])
            assert made.starts[before] + length <= made.starts[after]
            paused = made.starts[after] - max(lines.starts[after], made.starts[before] + length)
            if paused > 0:
                assert made.starts[after] - lines.starts[after] <= LATE_MS
                end = made.starts[after] + fitted_length(lines.lengths[after], made.paces[after])
                next_ones = [lines.starts[n] for n in own if n > after]
                assert not next_ones or end <= next_ones[0]


def test_lines_that_fit_are_as_they_were_spoken() -> None:
    made = fit_lines(lines_to_fit([(0, 1000, 900), (1100, 2000, 800), (2500, 3000, 400)]), FitRules())
    assert (made.starts, made.paces) == ([0, 1100, 2500], [1.0, 1.0, 1.0])
    filled = fit_lines(lines_to_fit([(0, 1000, 900), (3000, 4000, 600)]), FitRules(fills=True))
    assert filled.paces == [0.9, 0.9], "only `fill` makes speech slower"


def test_a_speaker_whose_lines_are_long_has_one_pace() -> None:
    made = fit_lines(lines_to_fit([(n * 1000, n * 1000 + 950, 1050) for n in range(40)]), FitRules())
    assert set(made.paces) == {1.15}
    assert made.of_speakers == {0: 1.15}


@each_row(
    ("count", "long_ms", "pace"),
    [(2, 9000, 1.0), (4, 9000, 1.0), (6, 9000, 1.0), (4, 4500, 1.0), (1, 9000, 1.2)],
)
def test_a_line_that_cannot_fit_hurries_no_other(count: int, long_ms: int, pace: float) -> None:
    cues = [(n * 4000, n * 4000 + 2000, 1900) for n in range(count)]
    cues[count // 2] = (*cues[count // 2][:2], long_ms)
    made = fit_lines(lines_to_fit(cues), FitRules())
    assert made.of_speakers == {0: pace}
    assert [each for n, each in enumerate(made.paces) if n < count // 2] == [pace] * (count // 2)


def test_the_last_line_ends_with_its_track() -> None:
    lines = lines_to_fit([(0, 1000, 800), (2000, 4000, 2600)])
    assert fit_lines(lines, FitRules(), 4600).paces == [1.0, 1.0]
    assert fit_lines(lines, FitRules(), 4000).paces == [1.0, 1.3]
    assert fit_lines(lines, FitRules(), 3000).paces == [1.0, 1.35]


def test_a_delayed_line_keeps_a_pause_unless_it_gets_late_by_it() -> None:
    alone = lines_to_fit([(0, 1000, 1050), (1000, 9000, 1000)], [0, 1])
    assert fit_lines(alone, FitRules(1.0)).starts == [0, 1130]
    some = lines_to_fit([(0, 1000, 1150), (1000, 9000, 1000)], [0, 1])
    assert fit_lines(some, FitRules(1.0)).starts == [0, 1200], "as much of it as there is room for"
    late = lines_to_fit([(0, 1000, 1300), (1000, 9000, 1000)], [0, 1])
    assert fit_lines(late, FitRules(1.0)).starts == [0, 1300], "it is late without a pause"
    next_is_near = lines_to_fit([(0, 1000, 1050), (1000, 2100, 1000), (2100, 9000, 1000)])
    assert fit_lines(next_is_near, FitRules(1.0)).starts == [0, 1100, 2100], "it delays no other line"


def test_a_short_delay_is_made_up_for_in_lines_without_pauses() -> None:
    cues = [(n * 1000, n * 1000 + 1000, 995 if n else 1010) for n in range(40)]
    assert fit_lines(lines_to_fit(cues), FitRules(1.0)).starts[:4] == [0, 1010, 2005, 3000]
    assert fit_lines(lines_to_fit(cues), FitRules(1.0)).starts[4:] == [at for at, *_ in cues[4:]]


def test_no_lines_have_a_plan() -> None:
    for may_overlap in (False, True):
        assert fit_lines(Lines([], [], [], [], RATE_HZ, may_overlap), FitRules(), 1000) == ([], [], {})


def test_a_crowded_line_delays_few(subtests: pytest.Subtests) -> None:
    late = changes = delayed = close = 0
    for seed in range(10):
        lines = film(40, seed)
        made = fit_lines(lines, FitRules())
        late += sum(made.is_late(lines, number) for number in range(40))
        changes += jumps(lines, made)
        for n, (begin, wanted) in enumerate(zip(made.starts[1:], lines.starts[1:], strict=True)):
            pause = begin - made.starts[n] - fitted_length(lines.lengths[n], made.paces[n])
            delayed += begin > wanted
            if pause < PAUSE_MS and 0 < begin - wanted < LATE_MS:
                close += 1
                end = begin + fitted_length(lines.lengths[n + 1], made.paces[n + 1])
                assert end >= [*lines.starts, lines.ends[-1]][n + 2], "a pause would delay the next line"
    assert close <= 0.2 * delayed
    assert late == 0
    assert changes <= 10


# Only the time of a long film is at stake.
@pytest.mark.slow
def test_five_thousand_lines_take_seconds() -> None:
    begun = time.process_time()
    fit_lines(film(5000, 1), FitRules())
    assert time.process_time() - begun < 15
