"""Payments: the credits that one is worth, its faults beside its order, and the state of an order.

Amounts of money are whole minor units, credits whole micro-credits.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

OrderState = Literal["open", "expired", "paid", "partly_refunded", "refunded", "disputed"]


class Money(msgspec.Struct, frozen=True):
    """A payment: what was paid, and the parts of it that were refunded and that disputes hold."""

    paid: int
    refunded: int = 0
    disputed: int = 0

    @property
    def kept(self) -> int:
        """What is left of it. A dispute and a refund may hold the same money."""
        return max(0, self.paid - self.refunded - self.disputed)


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What an order and a payment must have in common. `reference` is the id of the order."""

    reference: str
    amount: int
    currency: str
    seller: str
    is_live: bool


def target(credits: int, money: Money) -> int:
    """Return the credits that a payment is worth: its part that is kept, rounded down."""
    return credits * money.kept // money.paid


def contradiction(order: Terms, payment: Terms) -> str:
    """Return the fields in which a payment contradicts its order, "" if it agrees."""
    names = Terms.__struct_fields__
    return ", ".join(name for name in names if getattr(order, name) != getattr(payment, name))


def latest(before: Money | None, fetched: Money, *, has_won: bool) -> Money:
    """Return a payment as it is to be booked. Refunds never fall, and disputes only if one was won."""
    if before is None:
        return fetched
    refunded = max(before.refunded, fetched.refunded)
    disputed = fetched.disputed if has_won else max(before.disputed, fetched.disputed)
    return Money(before.paid, refunded, disputed)


def order_state(payments: Iterable[Money], *, is_expired: bool) -> OrderState:
    """Return the state of an order. It follows from its payments alone."""
    all_ = tuple(payments)
    if not all_:
        return "expired" if is_expired else "open"
    if any(money.disputed for money in all_):
        return "disputed"
    if not any(money.kept for money in all_):
        return "refunded"
    return "partly_refunded" if any(money.refunded for money in all_) else "paid"
