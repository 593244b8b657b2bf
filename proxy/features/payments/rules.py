"""Payments: the credits that one is worth, the state of its order, and when its provider is asked again.

Amounts of money are whole minor units, credits whole micro-credits.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

_SECOND_US = 1_000_000
_MINUTE_US, _HOUR_US, DAY_US = 60 * _SECOND_US, 3600 * _SECOND_US, 86_400 * _SECOND_US
_OPEN_LOOKS_US = (1 * _MINUTE_US, 5 * _MINUTE_US, 30 * _MINUTE_US)
_EXPIRED_LOOKS_US = (5 * _MINUTE_US, 1 * DAY_US, 3 * DAY_US)
"""After the end of an order. They find a payment of its last second, and one that was reviewed for days."""
_PAID_LOOKS_US = (1 * DAY_US, 3 * DAY_US, 7 * DAY_US)
_WATCHED_US = 180 * DAY_US
"""For this time, the provider is asked about a paid order, or after it has refused."""

OrderState = Literal["open", "paid", "partly_refunded", "refunded", "disputed"]


class PaidAmount(msgspec.Struct, frozen=True):
    """What was paid, and which parts of it were refunded or are held by disputes, in minor units."""

    paid: int
    refunded: int = 0
    disputed: int = 0

    @property
    def remaining(self) -> int:
        """The part that was not refunded and is not disputed. Both may be about the same money."""
        return max(0, self.paid - self.refunded - self.disputed)


def credits_worth(credits: int, money: PaidAmount) -> int:
    """Return the credits that a payment is worth: all, times the part of the money that remains, rounded
    down."""
    return credits * money.remaining // money.paid


def amount_to_book(before: PaidAmount | None, fetched: PaidAmount, *, seller_won_dispute: bool) -> PaidAmount:
    """Return the amounts to book. A refund never becomes less, and a dispute only if the seller won one."""
    if before is None:
        return fetched
    refunded = max(before.refunded, fetched.refunded)
    disputed = fetched.disputed if seller_won_dispute else max(before.disputed, fetched.disputed)
    return PaidAmount(before.paid, refunded, min(disputed, before.paid - refunded))


def order_state(payments: Iterable[PaidAmount]) -> OrderState:
    """Return the state of an order. It follows from its payments alone."""
    all_ = tuple(payments)
    if not all_:
        return "open"
    if any(money.disputed for money in all_):
        return "disputed"
    if not any(money.remaining for money in all_):
        return "refunded"
    return "partly_refunded" if any(money.refunded for money in all_) else "paid"


def next_look_after_refusal(*, created: int, now: int) -> int | None:
    """Return when a provider that refused the last look is asked again: a key may be wrong for days. None:
    never."""
    return now + DAY_US if now < created + _WATCHED_US else None


def next_look(*, created: int, expires: int, paid: int | None, now: int) -> int | None:
    """Return when the provider is asked about an order next, if no webhook comes before. None: never."""
    if paid is None:
        hourly = created + _HOUR_US * ((now - created) // _HOUR_US + 1)
        looks = [created + after for after in _OPEN_LOOKS_US]
        looks += ([hourly] if hourly < expires else []) + [expires + after for after in _EXPIRED_LOOKS_US]
    else:
        weekly = paid + 7 * DAY_US * ((now - paid) // (7 * DAY_US) + 1)
        looks = [paid + after for after in _PAID_LOOKS_US] + (
            [weekly] if weekly <= paid + _WATCHED_US else []
        )
    return min((look for look in looks if look > now), default=None)
