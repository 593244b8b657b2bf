"""The limits that refuse a request while others are under way, and their order."""

from hypothesis import given
from hypothesis import strategies as st

from policies.admission import CreditBalance, Refusal, RunningRequests, Split, admit
from policies.limits import Caps
from policies.plans import Plan, Terms, build_terms
from tests.tables import each_row


def allowed(streams: int | None = None, key: int | None = None) -> Terms:
    return build_terms(Plan(name="p", streams=streams), caps=Caps(streams=key))


@each_row(
    ("streams", "key", "live", "standing", "answer"),
    [
        (None, None, RunningRequests(1000, 1000), CreditBalance(None, 0), Split(7, 0)),
        (2, None, RunningRequests(1, 1), CreditBalance(10, 0), Split(7, 0)),
        (2, None, RunningRequests(2, 0), CreditBalance(10, 0), Refusal("streams", 2)),
        (2, None, RunningRequests(3, 0), CreditBalance(10, 0), Refusal("streams", 2)),
        (5, 1, RunningRequests(1, 1), CreditBalance(10, 0), Refusal("key_streams", 1)),
        (5, 1, RunningRequests(1, 0), CreditBalance(10, 0), Split(7, 0)),
        (1, 1, RunningRequests(1, 1), CreditBalance(0, 0), Refusal("streams", 1)),
        (5, 1, RunningRequests(0, 0), CreditBalance(4, 2), Refusal("credits", 6)),
        (5, 1, RunningRequests(0, 0), CreditBalance(-4, 2), Refusal("credits", -2)),
        (1, 1, RunningRequests(0, 0), CreditBalance(4, 3), Split(4, 3)),
    ],
)
def test_the_first_limit_that_is_reached_answers(
    streams: int | None,
    key: int | None,
    live: RunningRequests,
    standing: CreditBalance,
    answer: Split | Refusal,
) -> None:
    assert admit(7, allowed(streams, key), live, standing) == answer


lives = st.builds(RunningRequests, st.integers(0, 8), st.integers(0, 8))
limits = st.none() | st.integers(1, 6)


@given(st.integers(0, 100), limits, limits, lives, st.builds(CreditBalance, *[st.integers(-50, 100)] * 2))
def test_nothing_is_admitted_past_any_limit(
    amount: int, streams: int | None, key: int | None, live: RunningRequests, standing: CreditBalance
) -> None:
    answer = admit(amount, allowed(streams, key), live, standing)
    if isinstance(answer, Split):
        assert streams is None or live.account < streams
        assert key is None or live.key < key
        assert answer.amount == amount <= max(0, standing.available or 0)
    elif answer.reason == "credits":
        assert answer.limit < amount
    else:
        assert answer.limit >= 0


@given(
    st.integers(0, 100),
    limits,
    st.integers(1, 6),
    lives,
    st.builds(CreditBalance, *[st.integers(-50, 100)] * 2),
)
def test_a_keys_cap_only_ever_refuses_more(
    amount: int, streams: int | None, key: int, live: RunningRequests, standing: CreditBalance
) -> None:
    without = admit(amount, allowed(streams), live, standing)
    capped = admit(amount, allowed(streams, key), live, standing)
    assert capped in (without, Refusal("key_streams", key))
    assert isinstance(without, Split) or isinstance(capped, Refusal)
