"""The turns of refused jobs: who is ahead of whom, and for how long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_engine.host.fair import Ticket
from speech_engine.host.reserved_turns import (
    LATE_S,
    MOST,
    ReservedTurn,
    ReservedTurns,
    place,
    retry_s,
)


def line(accounts: str, cost: float = 3.0) -> list[ReservedTurn]:
    return [ReservedTurn(account, cost, cost, 10.0) for account in accounts]


def give(turns: ReservedTurns, account: str, back_at: float = 10.0, now: float = 0.0) -> None:
    turns.reserve(turns.enter(account, now), Ticket(account, 3.0), back_at)


@pytest.mark.parametrize(
    ("held", "account", "ahead", "ahead_if_in_line"),
    [
        ("", "a", 0, 0),
        ("b", "a", 1, 0),
        ("a", "a", 1, 1),
        ("bc", "a", 2, 0),
        ("bbbb", "a", 1, 0),
        ("bcbcbc", "a", 2, 0),
        ("abbb", "a", 3, 2),
        ("abcbc", "a", 5, 3),
        ("aabb", "b", 4, 4),
    ],
)
def test_an_account_is_behind_its_own_and_behind_those_that_would_be_given_a_slot_before_it(
    held: str, account: str, ahead: int, ahead_if_in_line: int
) -> None:
    assert place(line(held), account) == ahead
    assert place(line(held), account, was_in_line=True) == ahead_if_in_line


@pytest.mark.parametrize(
    ("starts_in_s", "patience_s", "after_s"),
    [(50.0, 40.0, 30.0), (10.0, 40.0, 1.0), (1000.0, 9.0, 60.0), (20.0, 0.0, 20.0), (20.0, -5.0, 20.0)],
)
def test_a_job_comes_back_with_half_its_patience_in_reserve(
    starts_in_s: float, patience_s: float, after_s: float
) -> None:
    assert retry_s(starts_in_s, patience_s) == after_s


def test_a_job_that_comes_back_uses_up_its_turn_and_one_that_comes_early_does_not() -> None:
    turns = ReservedTurns()
    for account in "abc":
        give(turns, account)
    assert turns.enter("b", now=9.9) == 3
    assert turns.enter("b", now=10.0) == 1
    assert [each.tenant for each in turns.line] == ["a", "c"]
    assert turns.enter("c", now=10.0) == 1
    assert repr(turns) == "<ReservedTurns 1>"


def test_a_job_that_is_refused_again_keeps_its_turn() -> None:
    turns = ReservedTurns()
    for account in "abc":
        give(turns, account)
    give(turns, "b", back_at=20.0, now=10.0)
    assert [(each.tenant, each.back_at) for each in turns.line] == [("a", 10.0), ("b", 20.0), ("c", 10.0)]


def test_a_job_that_is_late_loses_its_turn() -> None:
    turns = ReservedTurns()
    give(turns, "a", back_at=10.0)
    give(turns, "b", back_at=12.0)
    assert turns.enter("c", now=10.0 + LATE_S) == 2
    assert turns.enter("c", now=10.1 + LATE_S) == 1
    assert [each.tenant for each in turns.line] == ["b"]


def test_the_seconds_ahead_are_those_of_the_first_turns() -> None:
    turns = ReservedTurns()
    for account in "aabc":
        give(turns, account)
    assert [turns.seconds(ahead) for ahead in (0, 1, 4, 9)] == [0.0, 3.0, 12.0, 12.0]


@given(arrivals=st.text("abcdef", max_size=60))
def test_a_flood_puts_another_account_behind_one_of_its_jobs_only(arrivals: str) -> None:
    turns = ReservedTurns()
    for account in arrivals:
        give(turns, account)
    ahead = [each.tenant for each in turns.line[: place(turns.line, "new")]]
    assert sorted(ahead) == sorted(set(arrivals))


@given(arrivals=st.text("abc", max_size=60))
def test_the_jobs_of_an_account_keep_their_order(arrivals: str) -> None:
    turns = ReservedTurns()
    for number, account in enumerate(arrivals):
        give(turns, account, back_at=10.0 + number)
    for account in "abc":
        own = [each.back_at for each in turns.line if each.tenant == account]
        assert own == sorted(own)


@given(accounts=st.lists(st.integers(0, 400), max_size=40), now=st.floats(0.0, 30.0))
def test_there_are_never_more_turns_than_the_most_and_none_that_is_late(
    accounts: list[int], now: float
) -> None:
    turns = ReservedTurns()
    for number in range(2 * MOST):
        turns.reserve(len(turns.line), Ticket(str(number % 40), 3.0), 10.0)
    for account in accounts:
        give(turns, str(account), back_at=now + 1.0, now=now)
    assert len(turns.line) <= MOST
    turns.enter("new", now)
    assert all(now <= each.back_at + LATE_S for each in turns.line)


def test_turns_count_less_where_clients_do_not_come_back() -> None:
    turns = ReservedTurns()
    for account in "abcdefghij":
        give(turns, account)
    turns.enter("new", now=30.0)
    give(turns, "a", back_at=40.0, now=30.0)
    assert turns.seconds(1) == pytest.approx(3.0 * 0.9**10)
    for number in range(10):
        turns.enter("a", now=40.0 + number)
        give(turns, "a", back_at=41.0 + number, now=40.0 + number)
    assert turns.seconds(1) > 2.0
