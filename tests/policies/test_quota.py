"""Two pools, spent in their order: holds never oversell, and no credit is lost on the way to a charge."""

from hypothesis import given
from hypothesis import strategies as st

from policies.admission import CreditBalance, Split, split_charge, split_hold
from tests.tables import each_row

amounts = st.integers(0, 10**13)
pools = st.integers(-(10**12), 10**13)
standings = st.builds(CreditBalance, pools, pools)
splits = st.builds(Split, amounts, amounts)


@each_row(
    ("amount", "standing", "hold"),
    [
        (30, CreditBalance(100, 0), Split(30, 0)),
        (100, CreditBalance(100, 50), Split(100, 0)),
        (120, CreditBalance(100, 50), Split(100, 20)),
        (150, CreditBalance(100, 50), Split(100, 50)),
        (151, CreditBalance(100, 50), None),
        (20, CreditBalance(0, 20), Split(0, 20)),
        (20, CreditBalance(-5, 25), Split(0, 20)),
        (21, CreditBalance(-5, 25), None),
        (50, CreditBalance(100, -50), Split(50, 0)),
        (51, CreditBalance(100, -50), None),
        (1, CreditBalance(0, 0), None),
        (0, CreditBalance(0, 0), Split(0, 0)),
        (0, CreditBalance(-5, -5), Split(0, 0)),
        (10**15, CreditBalance(None, 0), Split(10**15, 0)),
        (5, CreditBalance(None, -7), Split(5, 0)),
    ],
)
def test_how_an_amount_is_held(amount: int, standing: CreditBalance, hold: Split | None) -> None:
    assert split_hold(amount, standing) == hold


@each_row(
    ("charge", "hold", "by_pool"),
    [
        (0, Split(30, 0), Split(0, 0)),
        (20, Split(30, 0), Split(20, 0)),
        (40, Split(30, 0), Split(40, 0)),
        (20, Split(30, 10), Split(20, 0)),
        (35, Split(30, 10), Split(30, 5)),
        (60, Split(30, 10), Split(30, 30)),
        (5, Split(0, 10), Split(0, 5)),
        (0, Split(0, 0), Split(0, 0)),
    ],
)
def test_a_charge_is_split_over_the_pools(charge: int, hold: Split, by_pool: Split) -> None:
    assert split_charge(charge, hold) == by_pool


@given(amounts, standings)
def test_a_hold_is_the_amount_and_never_more_than_there_is(amount: int, standing: CreditBalance) -> None:
    hold = split_hold(amount, standing)
    available = standing.available
    assert available is not None
    assert (hold is None) == (amount > max(0, available))
    if hold is not None:
        assert hold.amount == amount
        assert hold.allowance >= 0
        assert hold.granted >= 0
        # Granted credits are kept for as long as there is any allowance.
        assert hold.granted == 0 or hold.allowance == max(0, standing.allowance or 0)


@given(standings, st.lists(st.integers(0, 10**12), max_size=30))
def test_holds_together_never_oversell(standing: CreditBalance, amounts: list[int]) -> None:
    allowance, granted, taken = standing.allowance or 0, standing.granted, 0
    for amount in amounts:
        hold = split_hold(amount, CreditBalance(allowance, granted))
        if hold is not None:
            allowance, granted, taken = allowance - hold.allowance, granted - hold.granted, taken + amount
    assert taken <= max(0, standing.available or 0)


@given(amounts, splits)
def test_all_of_a_charge_is_settled_and_no_pool_gets_back_more_than_it_held(charge: int, hold: Split) -> None:
    by_pool = split_charge(charge, hold)
    assert by_pool.amount == charge
    assert by_pool.allowance >= 0
    assert by_pool.granted >= 0
    if charge <= hold.amount:
        assert by_pool.allowance <= hold.allowance
        assert by_pool.granted <= hold.granted


@given(standings, amounts, amounts)
def test_a_charge_beyond_a_hold_is_owed_and_refuses_the_next(
    standing: CreditBalance, amount: int, beyond: int
) -> None:
    hold = split_hold(amount, standing)
    if hold is None:
        return
    by_pool = split_charge(amount + beyond, hold)
    after = CreditBalance((standing.allowance or 0) - by_pool.allowance, standing.granted - by_pool.granted)
    assert after.available == (standing.available or 0) - amount - beyond
    if after.available <= 0:
        assert split_hold(1, after) is None


@given(amounts, amounts, st.integers(0, 10**12), pools)
def test_a_change_of_plan_counts_at_once_and_what_is_spent_stays_spent(
    before: int, after: int, spent: int, granted: int
) -> None:
    then, now = CreditBalance(before - spent, granted), CreditBalance(after - spent, granted)
    assert (now.available or 0) - (then.available or 0) == after - before
    assert (split_hold(1, now) is None) == (after - spent + granted < 1)
