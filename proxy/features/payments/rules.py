"""Payments: the credits that one is worth, its faults beside its order, and the state of an order.

Amounts of money are whole minor units, credits whole micro-credits.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

_SECOND = 1_000_000
_MINUTE, _HOUR, _DAY = 60 * _SECOND, 3600 * _SECOND, 86_400 * _SECOND
_OPEN_LOOKS = (1 * _MINUTE, 5 * _MINUTE, 30 * _MINUTE)
_EXPIRED_LOOKS = (5 * _MINUTE, 1 * _DAY, 3 * _DAY)
"""A card payment may be under review for days, and one in the last second has to be found."""
_PAID_LOOKS = (1 * _DAY, 3 * _DAY, 7 * _DAY)
_WATCHED = 180 * _DAY

OrderState = Literal["open", "paid", "partly_refunded", "refunded", "disputed"]


class PaidAmount(msgspec.Struct, frozen=True):
    """A payment: what was paid, and the parts of it that were refunded and that disputes hold."""

    paid: int
    refunded: int = 0
    disputed: int = 0

    @property
    def rest(self) -> int:
        """What is left of it. A dispute and a refund may hold the same money."""
        return max(0, self.paid - self.refunded - self.disputed)


def target(credits: int, money: PaidAmount) -> int:
    """Return the credits that a payment is worth: its part that is kept, rounded down."""
    return credits * money.rest // money.paid


def latest(before: PaidAmount | None, fetched: PaidAmount, *, seller_won_dispute: bool) -> PaidAmount:
    """Return a payment as it is to be booked. Refunds never fall, and disputes only if one was won."""
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
    if not any(money.rest for money in all_):
        return "refunded"
    return "partly_refunded" if any(money.refunded for money in all_) else "paid"


def look_again(*, created: int, now: int) -> int | None:
    """Return when a last look that was refused is repeated: a key may be wrong for days. None: never."""
    return now + _DAY if now < created + _WATCHED else None


def next_look(*, created: int, expires: int, paid: int | None, now: int) -> int | None:
    """Return when the provider is asked about an order again without a webhook. None: never."""
    if paid is None:
        hourly = created + _HOUR * ((now - created) // _HOUR + 1)
        looks = [created + after for after in _OPEN_LOOKS]
        looks += [hourly] * (hourly < expires) + [expires + after for after in _EXPIRED_LOOKS]
    else:
        weekly = paid + 7 * _DAY * ((now - paid) // (7 * _DAY) + 1)
        looks = [paid + after for after in _PAID_LOOKS] + [weekly] * (weekly <= paid + _WATCHED)
    return min((look for look in looks if look > now), default=None)
