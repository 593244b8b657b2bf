"""The decision whether one more request may begin, by the running requests and the credits of its account.

`storage/holds.py` builds its SQL from the same table of limits.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Literal

import msgspec

from policies.plans import Terms


class Split(msgspec.Struct, frozen=True):
    """An amount in micro-credits, divided over the pools that pay it. No part is negative."""

    allowance: int = 0
    granted: int = 0

    @property
    def amount(self) -> int:
        return self.allowance + self.granted


class CreditBalance(msgspec.Struct, frozen=True):
    """The credits of an account at one moment, without those in open holds. `allowance` None is no limit.

    The allowance is that of the current plan, less the spending of the cycle. It may be below zero after a
    change to a smaller plan. Both pools may be below zero after a request that cost more than its hold.
    """

    allowance: int | None
    granted: int

    @property
    def available(self) -> int | None:
        return None if self.allowance is None else self.allowance + self.granted


def split_hold(amount: int, balance: CreditBalance) -> Split | None:
    """Return how much of `amount` each pool holds, or None if the account has less.

    An amount of zero is always held, even if the account owes credits.
    """
    if balance.allowance is None:
        return Split(allowance=amount)
    if amount > max(0, balance.allowance + balance.granted):
        return None
    allowance = min(amount, max(0, balance.allowance))
    return Split(allowance, amount - allowance)


def split_charge(charge: int, hold: Split) -> Split:
    """Return the charge by pool, in the order of the hold.

    If the charge is more than the hold, the pool that the hold ended in pays the rest, even below zero.
    """
    if hold.granted == 0:
        return Split(allowance=charge)
    allowance = min(charge, hold.allowance)
    return Split(allowance, charge - allowance)


class RunningRequests(msgspec.Struct, frozen=True):
    """The numbers of running requests of the account, and of this key."""

    account: int
    key: int


class StreamLimit(msgspec.Struct, frozen=True):
    """A limit of running requests. `name` is also its column in the database.

    `limit_of` reads the limit, `count_of` the number that it limits. `counted_sql` selects the counted holds,
    where `{key}` is the key of the request.
    """

    name: Literal["streams", "key_streams"]
    limit_of: Callable[[Terms], int | None]
    count_of: Callable[[RunningRequests], int]
    counted_sql: str


STREAM_LIMITS = (
    # The hold of a job has no key, and does not count.
    StreamLimit("streams", attrgetter("streams"), attrgetter("account"), "key <> ''"),
    StreamLimit("key_streams", attrgetter("key.streams"), attrgetter("key"), "key = {key}"),
)
"""The limits of running requests, in the order in which they are checked."""


class Refusal(msgspec.Struct, frozen=True):
    """The reason of a refusal. `limit` is the most streams, or the available micro-credits, which are below
    zero if the account owes credits."""

    reason: Literal["streams", "key_streams", "credits"]
    limit: int


def admit(amount: int, terms: Terms, live: RunningRequests, balance: CreditBalance) -> Split | Refusal:
    """Return the split of the request's hold, or the first limit that the request would break. Streams are
    checked first, because they become free again soon."""
    for limit in STREAM_LIMITS:
        most = limit.limit_of(terms)
        if most is not None and limit.count_of(live) >= most:
            return Refusal(limit.name, most)
    hold = split_hold(amount, balance)
    return Refusal("credits", balance.available or 0) if hold is None else hold
