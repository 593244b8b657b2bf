"""What a payment is worth, its order's state, and when its provider is asked."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from policies.price import MICRO
from proxy.features.payments.rules import (
    OrderState,
    PaidAmount,
    amount_to_book,
    credits_worth,
    next_look,
    order_state,
)
from tests.tables import each_row

_MINUTE, _HOUR, _DAY = 60 * MICRO, 3600 * MICRO, 86_400 * MICRO

money = st.integers(1, 10**9).flatmap(
    lambda paid: st.builds(PaidAmount, st.just(paid), st.integers(0, paid), st.integers(0, paid))
)


@each_row(
    ("credits", "paid", "worth"),
    [
        (500 * MICRO, PaidAmount(2990), 500 * MICRO),
        (500 * MICRO, PaidAmount(2990, 1000), 332_775_919),
        (500 * MICRO, PaidAmount(2990, 2990), 0),
        (500 * MICRO, PaidAmount(2990, 1000, 1990), 0),
        (500 * MICRO, PaidAmount(2990, 2990, 2990), 0),
        (1, PaidAmount(3, 1), 0),
        (0, PaidAmount(4990), 0),
    ],
)
def test_a_payment_is_worth_its_part_that_is_kept(credits: int, paid: PaidAmount, worth: int) -> None:
    assert credits_worth(credits, paid) == worth


@given(st.integers(0, 10**15), money)
def test_no_payment_is_worth_more_than_its_order_or_less_than_nothing(credits: int, paid: PaidAmount) -> None:
    worth = credits_worth(credits, paid)
    assert 0 <= worth * paid.paid <= credits * paid.remaining < (worth + 1) * paid.paid or credits == 0


@each_row(
    ("before", "fetched", "seller_won_dispute", "booked"),
    [
        (None, PaidAmount(100, 10), False, PaidAmount(100, 10)),
        (PaidAmount(100, 30), PaidAmount(100, 10), False, PaidAmount(100, 30)),
        (PaidAmount(100, 0, 100), PaidAmount(100), False, PaidAmount(100, 0, 100)),
        (PaidAmount(100, 0, 100), PaidAmount(100), True, PaidAmount(100)),
        (PaidAmount(100, 0, 100), PaidAmount(100, 40, 60), False, PaidAmount(100, 40, 60)),
        (PaidAmount(100, 40, 60), PaidAmount(100, 10), True, PaidAmount(100, 40)),
    ],
)
def test_refunds_never_fall_and_disputes_only_if_one_was_won(
    before: PaidAmount | None, fetched: PaidAmount, seller_won_dispute: bool, booked: PaidAmount
) -> None:
    assert amount_to_book(before, fetched, seller_won_dispute=seller_won_dispute) == booked


@each_row(
    ("paid", "state"),
    [
        ([], "open"),
        ([PaidAmount(100)], "paid"),
        ([PaidAmount(100), PaidAmount(100)], "paid"),
        ([PaidAmount(100, 1)], "partly_refunded"),
        ([PaidAmount(100, 100), PaidAmount(100)], "partly_refunded"),
        ([PaidAmount(100, 100)], "refunded"),
        ([PaidAmount(100, 0, 1), PaidAmount(100)], "disputed"),
    ],
)
def test_the_state_of_an_order_follows_from_its_payments(paid: list[PaidAmount], state: OrderState) -> None:
    assert order_state(paid) == state


def _looks(paid: int | None, now: int = 0) -> list[int]:
    looks = []
    while (look := next_look(created=0, expires=23 * _HOUR, paid=paid, now=now)) is not None:
        looks.append(look)
        now = look
    return looks


def test_an_order_is_looked_at_until_it_expires_and_once_more_for_late_reviews() -> None:
    looks = _looks(None)
    assert looks[:4] == [_MINUTE, 5 * _MINUTE, 30 * _MINUTE, _HOUR]
    assert looks[4:26] == [hour * _HOUR for hour in range(2, 23)] + [23 * _HOUR + 5 * _MINUTE]
    assert looks[26:] == [23 * _HOUR + _DAY, 23 * _HOUR + 3 * _DAY]


def test_a_paid_order_is_looked_at_for_half_a_year() -> None:
    looks = _looks(_HOUR, _HOUR)
    assert [(look - _HOUR) // _DAY for look in looks[:4]] == [1, 3, 7, 14]
    assert {after - before for before, after in pairwise(looks[2:])} == {7 * _DAY}
    assert (looks[-1] - _HOUR) // _DAY == 175
