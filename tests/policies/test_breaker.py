"""A breaker: when it opens and for how long, whom it believes, who may try, and what closes it."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.breaker import (
    CLOSED,
    FIRST_OPEN_S,
    LONGEST_OPEN_S,
    MOST_FAULTS,
    OWN_CALL,
    QUIET_S,
    Breaker,
    Outcome,
    abandon_try,
    end_own_call,
    end_try,
    may_try,
    start_try,
    wait_s,
)
from tests.tables import each_row

ANN, BEN, CAT = "acc_ann", "acc_ben", "acc_cat"
OUTCOMES: tuple[Outcome, ...] = ("well", "faulty", "unreached", "refused")
Told = tuple[Outcome, str]
"""An outcome, and the account whose try had it; `OWN_CALL` for a call of ours."""


def told(*steps: Told, breaker: Breaker = CLOSED, quiet_s: float = inf, now: float = 100.0) -> Breaker:
    for outcome, who in steps:
        if who == OWN_CALL:
            breaker = end_own_call(breaker, outcome, now)
        else:
            breaker = end_try(breaker, outcome, who, now, is_probe=False, quiet_s=quiet_s)
    return breaker


def probed(breaker: Breaker, outcome: Outcome, who: str, now: float) -> Breaker:
    return end_try(start_try(breaker, who), outcome, who, now, is_probe=True)


WELL: Told = ("well", ANN)
BY_ANN: Told = ("faulty", ANN)
BY_BEN: Told = ("faulty", BEN)
UNREACHED: Told = ("unreached", ANN)
LISTING_FAILED: Told = ("faulty", OWN_CALL)
LISTED: Told = ("well", OWN_CALL)

OPEN = told(*[BY_ANN] * (MOST_FAULTS - 1), BY_BEN)
REFUSED = told(("refused", ANN))
DOUBTFUL = told(*[BY_ANN] * MOST_FAULTS)


@each_row(
    ("steps", "quiet_s", "opens"),
    [
        pytest.param([BY_ANN] * 100, inf, False, id="one account's texts"),
        pytest.param([*[BY_ANN] * (MOST_FAULTS - 1), BY_BEN], inf, True, id="two accounts"),
        pytest.param(
            [BY_BEN, *[BY_ANN] * (MOST_FAULTS - 1)], inf, True, id="two accounts, one of them early"
        ),
        pytest.param([*[BY_ANN] * (MOST_FAULTS - 2), BY_BEN], inf, False, id="two accounts, too seldom"),
        pytest.param([*[BY_ANN] * 20, BY_BEN], inf, True, id="one more account after many faults"),
        pytest.param(
            [*[BY_ANN] * (MOST_FAULTS - 1), LISTING_FAILED], inf, True, id="an account and a listing"
        ),
        pytest.param(
            [LISTING_FAILED, *[BY_ANN] * (MOST_FAULTS - 1)], inf, True, id="a listing and an account"
        ),
        pytest.param([LISTING_FAILED] * MOST_FAULTS, inf, True, id="listings alone"),
        pytest.param([LISTING_FAILED] * (MOST_FAULTS - 1), inf, False, id="listings, too seldom"),
        pytest.param([UNREACHED] * MOST_FAULTS, inf, True, id="no connection, from one account"),
        pytest.param([UNREACHED] * (MOST_FAULTS - 1), inf, False, id="no connection, too seldom"),
        pytest.param([*[BY_ANN] * (MOST_FAULTS - 1), UNREACHED], inf, True, id="texts and no connection"),
        pytest.param([*[BY_ANN] * 9, WELL, *[BY_BEN] * 9], inf, False, id="it spoke in between"),
        pytest.param([*[BY_ANN] * 9, LISTED, *[BY_BEN] * 9], inf, False, id="a listing in between"),
        pytest.param([*[BY_ANN, BY_BEN] * 20], QUIET_S - 0.1, False, id="two, while it speaks for others"),
        pytest.param([*[BY_ANN, BY_BEN] * 20], QUIET_S, True, id="two, when it speaks for nobody"),
        pytest.param([UNREACHED] * MOST_FAULTS, 0.0, True, id="no connection, just after it spoke"),
        pytest.param(
            [*[BY_ANN] * MOST_FAULTS, LISTING_FAILED], 0.0, True, id="a listing, just after it spoke"
        ),
        pytest.param([("refused", ANN)], 0.0, True, id="a refusal of the key, from anybody"),
        pytest.param([("refused", OWN_CALL)], 0.0, True, id="a refusal of the key, from a listing"),
    ],
)
def test_whom_a_breaker_believes(steps: list[Told], quiet_s: float, opens: bool) -> None:
    assert told(*steps, quiet_s=quiet_s).is_closed is not opens


def test_a_breaker_opens_at_its_last_fault_in_a_row_and_not_before() -> None:
    breaker = CLOSED
    for number in range(1, MOST_FAULTS):
        breaker = told((("faulty", ANN), ("faulty", BEN))[number % 2], breaker=breaker)
        assert (breaker.is_closed, breaker.faults) == (True, number)
    assert Breaker(MOST_FAULTS, FIRST_OPEN_S, 100.0) == OPEN


@each_row(
    ("breaker", "is_doubtful"),
    [
        (CLOSED, False),
        (told(*[BY_ANN] * (MOST_FAULTS - 1)), False),
        (DOUBTFUL, True),
        (told(LISTED, breaker=DOUBTFUL), False),
        (told(WELL, breaker=DOUBTFUL), False),
        (told(LISTING_FAILED, breaker=DOUBTFUL), False),
        (told(BY_BEN, breaker=DOUBTFUL), False),
        (told(*[BY_ANN, BY_BEN] * MOST_FAULTS, quiet_s=0.0), False),
        (OPEN, False),
        (REFUSED, False),
    ],
)
def test_one_accounts_faults_are_a_reason_to_look(breaker: Breaker, is_doubtful: bool) -> None:
    assert breaker.is_doubtful is is_doubtful


def test_a_refusal_opens_at_once_and_for_longest() -> None:
    assert (REFUSED.open_s, REFUSED.since, REFUSED.is_refused) == (LONGEST_OPEN_S, 100.0, True)
    assert not may_try(REFUSED, ANN, 100.0 + LONGEST_OPEN_S - 0.001)
    assert may_try(REFUSED, ANN, 100.0 + LONGEST_OPEN_S)


@each_row(
    ("now", "may", "left_s"),
    [(100.0, False, 5.0), (104.9, False, 0.1), (105.0, True, 0.0), (200.0, True, 0.0)],
)
def test_a_breaker_is_half_open_when_its_time_is_over(now: float, may: bool, left_s: float) -> None:
    assert may_try(OPEN, CAT, now) is may
    assert wait_s(OPEN, now) == pytest.approx(left_s)


def test_failed_probes_of_two_double_it_up_to_the_longest() -> None:
    breaker, lengths = OPEN, []
    for _ in range(8):
        now = breaker.since + breaker.open_s
        breaker = probed(probed(breaker, "faulty", ANN, now), "faulty", BEN, now)
        assert not breaker.witnesses | breaker.probing
        lengths.append(breaker.open_s)
    assert lengths == [10.0, 20.0, 40.0, 80.0, 160.0, LONGEST_OPEN_S, LONGEST_OPEN_S, LONGEST_OPEN_S]


@each_row(
    ("steps", "open_s"),
    [
        pytest.param([BY_ANN, BY_ANN, BY_ANN], FIRST_OPEN_S, id="one account's texts are nobody's probe"),
        pytest.param([BY_ANN, BY_BEN], 10.0, id="two accounts"),
        pytest.param([UNREACHED], 10.0, id="no connection"),
        pytest.param([LISTING_FAILED], FIRST_OPEN_S, id="a listing alone"),
        pytest.param([LISTING_FAILED, BY_ANN], 10.0, id="a listing and an account"),
        pytest.param([BY_ANN, LISTING_FAILED], 10.0, id="an account and a listing"),
        pytest.param([BY_ANN, LISTED], 0.0, id="an account, and a good listing"),
        pytest.param([BY_ANN, ("well", BEN)], 0.0, id="it speaks for another account"),
        pytest.param([("refused", ANN)], LONGEST_OPEN_S, id="a refusal of the key"),
    ],
)
def test_what_probes_and_listings_make_of_a_breaker_that_is_half_open(
    steps: list[Told], open_s: float
) -> None:
    breaker = OPEN
    for outcome, who in steps:
        if who == OWN_CALL:
            breaker = end_own_call(breaker, outcome, 200.0)
        else:
            breaker = probed(breaker, outcome, who, 200.0)
    assert breaker.open_s == open_s


@pytest.mark.parametrize("open_one", [OPEN, REFUSED])
def test_a_good_probe_closes_it(open_one: Breaker) -> None:
    assert probed(open_one, "well", ANN, 500.0) == CLOSED


@each_row("outcome", ["well", "faulty", "unreached"])
@each_row("open_one", [OPEN, start_try(OPEN, CAT), REFUSED])
def test_a_try_that_began_before_the_breaker_opened_tells_nothing_new(
    outcome: Outcome, open_one: Breaker
) -> None:
    assert end_try(open_one, outcome, BEN, 101.0, is_probe=False) == open_one


def test_only_the_first_of_many_that_are_refused_together_is_news() -> None:
    assert end_try(REFUSED, "refused", ANN, 200.0, is_probe=False) == REFUSED
    assert end_try(OPEN, "refused", ANN, 101.0, is_probe=False).is_refused


def test_one_accounts_probe_keeps_no_other_from_trying() -> None:
    trying_one = start_try(OPEN, ANN)
    assert not may_try(trying_one, ANN, 1e6)
    assert may_try(trying_one, BEN, 1e6)
    assert abandon_try(trying_one, ANN) == OPEN
    assert start_try(CLOSED, ANN) == CLOSED


@each_row(
    ("before", "outcome", "after_it"),
    [
        (OPEN, "well", CLOSED),
        (OPEN, "refused", OPEN),
        (REFUSED, "well", REFUSED),
        (REFUSED, "refused", REFUSED),
        (told(*[BY_ANN] * 4), "well", told(*[BY_ANN] * 4)),
        (told(*[BY_ANN, BY_BEN] * 9, quiet_s=0.0), "well", told(*[BY_ANN, BY_BEN] * 9, quiet_s=0.0)),
        (DOUBTFUL, "well", CLOSED),
        (DOUBTFUL, "faulty", Breaker(MOST_FAULTS + 1, FIRST_OPEN_S, 200.0)),
        (CLOSED, "faulty", Breaker(1, witnesses=frozenset({OWN_CALL}))),
        (CLOSED, "refused", Breaker(1, LONGEST_OPEN_S, 200.0, is_refused=True)),
    ],
)
def test_a_look_at_the_provider_moves_the_breaker(
    before: Breaker, outcome: Outcome, after_it: Breaker
) -> None:
    assert end_own_call(before, outcome, 200.0) == after_it


_STEPS = st.lists(
    st.tuples(st.sampled_from([*OUTCOMES, "left"]), st.sampled_from([ANN, BEN, CAT]), st.floats(0.0, 400.0)),
    max_size=40,
)


@given(_STEPS)
def test_while_it_is_open_an_account_has_one_probe_at_most(steps: list[tuple[str, str, float]]) -> None:
    breaker, now = OPEN, 100.0
    for outcome, who, pause_s in steps:
        now += pause_s
        if not may_try(breaker, who, now):
            assert wait_s(breaker, now) > 0
            continue
        was_closed = breaker.is_closed
        breaker = start_try(breaker, who)
        assert may_try(breaker, who, now + 1e9) is was_closed
        if outcome == "left":
            breaker = abandon_try(breaker, who)
            assert may_try(breaker, who, now)
        else:
            breaker = end_try(breaker, outcome, who, now, is_probe=not was_closed)  # type: ignore[arg-type] # "left" is not among these
        assert who not in breaker.probing
        assert len(breaker.witnesses - {OWN_CALL}) <= 2
        assert breaker.is_closed or FIRST_OPEN_S <= breaker.open_s <= LONGEST_OPEN_S


@given(st.lists(st.sampled_from(["faulty", "left"]), max_size=60), st.floats(0.0, 400.0))
def test_no_account_opens_a_breaker_alone_or_keeps_it_open(steps: list[str], pause_s: float) -> None:
    for breaker in (CLOSED, OPEN):
        now, before = 1000.0, breaker
        for outcome in steps:
            now += pause_s
            breaker = start_try(breaker, ANN)
            if outcome == "left":
                breaker = abandon_try(breaker, ANN)
            else:
                breaker = end_try(breaker, "faulty", ANN, now, is_probe=not before.is_closed)
            assert (breaker.open_s, breaker.since) == (before.open_s, before.since)
            assert may_try(breaker, BEN, now)
