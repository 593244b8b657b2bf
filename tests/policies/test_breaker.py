"""A breaker: when it opens and for how long, who may try, and what closes it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.breaker import (
    CLOSED,
    FAULTS,
    FIRST_S,
    LONGEST_S,
    Breaker,
    Outcome,
    abandon_try,
    end_other_call,
    end_try,
    may_try,
    start_try,
    wait_s,
)

OUTCOMES: tuple[Outcome, ...] = ("well", "faulty", "refused")


def opened(now: float = 100.0) -> Breaker:
    breaker = CLOSED
    for _ in range(FAULTS):
        breaker = end_try(breaker, "faulty", now, is_probe=False)
    return breaker


def probed(breaker: Breaker, outcome: Outcome, now: float) -> Breaker:
    return end_try(start_try(breaker), outcome, now, is_probe=True)


REFUSED = end_try(CLOSED, "refused", 100.0, is_probe=False)


def test_a_breaker_opens_at_its_last_fault_in_a_row_and_not_before() -> None:
    breaker = CLOSED
    for number in range(1, FAULTS):
        breaker = end_try(breaker, "faulty", 100.0, is_probe=False)
        assert (breaker.is_closed, breaker.faults) == (True, number)
    assert opened().open_s == FIRST_S


def test_one_good_answer_begins_the_count_anew() -> None:
    breaker = CLOSED
    for outcome in (*["faulty"] * (FAULTS - 1), "well", *["faulty"] * (FAULTS - 1)):
        breaker = end_try(breaker, outcome, 100.0, is_probe=False)  # type: ignore[arg-type] # a list of text
    assert breaker.is_closed


def test_a_refusal_opens_at_once_and_for_longest() -> None:
    assert (REFUSED.open_s, REFUSED.since, REFUSED.is_refused) == (LONGEST_S, 100.0, True)
    assert not may_try(REFUSED, 100.0 + LONGEST_S - 0.001)
    assert may_try(REFUSED, 100.0 + LONGEST_S)


@pytest.mark.parametrize(
    ("now", "may", "left_s"),
    [(100.0, False, 5.0), (104.9, False, 0.1), (105.0, True, 0.0), (200.0, True, 0.0)],
)
def test_a_breaker_is_half_open_when_its_time_is_over(now: float, may: bool, left_s: float) -> None:
    assert may_try(opened(), now) is may
    assert wait_s(opened(), now) == pytest.approx(left_s)


def test_failed_probes_double_it_up_to_the_longest() -> None:
    breaker, now, lengths = opened(), 100.0, []
    for _ in range(8):
        now = breaker.since + breaker.open_s
        breaker = probed(breaker, "faulty", now)
        lengths.append(breaker.open_s)
    assert lengths == [10.0, 20.0, 40.0, 80.0, 160.0, LONGEST_S, LONGEST_S, LONGEST_S]


def test_a_probe_that_is_refused_opens_it_for_longest() -> None:
    assert probed(opened(), "refused", 105.0) == Breaker(FAULTS + 1, LONGEST_S, 105.0, is_refused=True)


@pytest.mark.parametrize("open_one", [opened(), REFUSED])
def test_a_good_probe_closes_it(open_one: Breaker) -> None:
    assert probed(open_one, "well", 500.0) == CLOSED


@pytest.mark.parametrize("outcome", ["well", "faulty"])
@pytest.mark.parametrize("open_one", [opened(), start_try(opened()), REFUSED])
def test_a_try_that_began_before_the_breaker_opened_tells_nothing_new(
    outcome: Outcome, open_one: Breaker
) -> None:
    assert end_try(open_one, outcome, 101.0, is_probe=False) == open_one


def test_only_the_first_of_many_that_are_refused_together_is_news() -> None:
    assert end_try(REFUSED, "refused", 200.0, is_probe=False) == REFUSED
    assert end_try(opened(), "refused", 101.0, is_probe=False).is_refused


def test_a_probe_given_up_lets_the_next_one_try() -> None:
    trying_one = start_try(opened())
    assert not may_try(trying_one, 1e6)
    assert abandon_try(trying_one) == opened()
    assert abandon_try(CLOSED) == CLOSED


@pytest.mark.parametrize(
    ("before", "outcome", "after_it"),
    [
        (opened(), "well", CLOSED),
        (opened(), "faulty", opened()),
        (opened(), "refused", opened()),
        (REFUSED, "well", REFUSED),
        (REFUSED, "refused", REFUSED),
        (Breaker(faults=4), "well", Breaker(faults=4)),
        (Breaker(faults=3), "faulty", Breaker(faults=4)),
        (Breaker(faults=4), "faulty", Breaker(FAULTS, FIRST_S, 200.0)),
        (CLOSED, "refused", Breaker(1, LONGEST_S, 200.0, is_refused=True)),
    ],
)
def test_a_look_at_the_provider_moves_the_breaker(
    before: Breaker, outcome: Outcome, after_it: Breaker
) -> None:
    assert end_other_call(before, outcome, 200.0) == after_it


@given(st.lists(st.tuples(st.sampled_from([*OUTCOMES, "left"]), st.floats(0.0, 400.0)), max_size=40))
def test_while_it_is_open_one_probe_at_most_is_under_way(steps: list[tuple[str, float]]) -> None:
    breaker, now = opened(), 100.0
    for outcome, pause_s in steps:
        now += pause_s
        if not may_try(breaker, now):
            assert wait_s(breaker, now) > 0
            continue
        was_closed = breaker.is_closed
        breaker = start_try(breaker)
        assert may_try(breaker, now) is was_closed
        assert may_try(breaker, now + 1e9) is was_closed
        if outcome == "left":
            breaker = abandon_try(breaker)
            assert may_try(breaker, now)
        else:
            breaker = end_try(breaker, outcome, now, is_probe=not was_closed)  # type: ignore[arg-type] # "left" is not among these
            assert not breaker.is_probing
        assert breaker.is_closed or FIRST_S <= breaker.open_s <= LONGEST_S
