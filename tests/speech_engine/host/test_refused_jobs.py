"""When refused jobs come back: each behind the others, and no account behind the flood of another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_engine.host.fair import Ticket
from speech_engine.host.refused_jobs import MOST, RefusedJobs, bounded_retry_s


def refused(accounts: str, back_at: float = 10.0) -> RefusedJobs:
    jobs = RefusedJobs()
    for account in accounts:
        jobs.add(Ticket(account, 3.0), back_at)
    return jobs


@pytest.mark.parametrize(
    ("accounts", "before_s"),
    [
        ("", 0.0),
        ("b", 3.0),
        ("a", 3.0),
        ("ab", 6.0),
        ("bc", 6.0),
        ("bbbb", 3.0),
        ("abbb", 9.0),
        ("aabbbc", 18.0),
    ],
)
def test_a_job_comes_back_after_those_of_its_account_and_as_much_of_each_other(
    accounts: str, before_s: float
) -> None:
    assert refused(accounts).seconds_before(Ticket("a", 3.0), now=0.0) == before_s


def test_a_short_job_is_not_put_off_by_a_long_one_of_another_account() -> None:
    jobs = RefusedJobs()
    jobs.add(Ticket("long", 300.0), 60.0)
    assert jobs.seconds_before(Ticket("short", 3.0), now=0.0) == 3.0


def test_a_job_that_is_due_counts_no_more_whether_it_comes_or_not() -> None:
    jobs = refused("bc", back_at=10.0)
    jobs.add(Ticket("d", 3.0), 12.0)
    assert [jobs.seconds_before(Ticket("a", 3.0), now) for now in (9.9, 10.0, 12.0)] == [9.0, 3.0, 0.0]
    assert repr(jobs) == "<RefusedJobs 0>"


@given(accounts=st.lists(st.integers(0, 40), max_size=2 * MOST))
def test_never_more_are_remembered_than_the_most(accounts: list[int]) -> None:
    jobs = RefusedJobs()
    for account in accounts:
        jobs.add(Ticket(str(account), 3.0), 10.0)
    assert repr(jobs) == f"<RefusedJobs {min(MOST, len(accounts))}>"
    assert jobs.seconds_before(Ticket("new", 3.0), 0.0) == 3.0 * len({*accounts[:MOST]})


@pytest.mark.parametrize(("seconds", "told_s"), [(-5.0, 1.0), (0.2, 1.0), (30.0, 30.0), (1000.0, 60.0)])
def test_a_client_is_told_between_a_second_and_a_minute(seconds: float, told_s: float) -> None:
    assert bounded_retry_s(seconds) == told_s
