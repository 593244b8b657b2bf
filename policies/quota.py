"""The pools that pay for a request: the cycle's allowance first, then granted credits."""

from __future__ import annotations

import msgspec


class Split(msgspec.Struct, frozen=True):
    """An amount in micro-credits by pool, never negative."""

    allowance: int = 0
    granted: int = 0

    @property
    def amount(self) -> int:
        return self.allowance + self.granted


class CreditStanding(msgspec.Struct, frozen=True):
    """The credits of an account at one moment, without those in open holds. `allowance` None is no limit.

    The allowance is that of the present plan, less what the cycle has spent: a change of plan counts at once.
    Either pool may be below zero. A change to a smaller plan does that to the allowance. A last request that
    costs more than its hold does it to either pool.
    """

    allowance: int | None
    granted: int

    @property
    def available(self) -> int | None:
        return None if self.allowance is None else self.allowance + self.granted


def split(amount: int, standing: CreditStanding) -> Split | None:
    """Return how to hold `amount`, or None if the account has less.

    An amount of zero is always held, even if the account owes credits.
    """
    if standing.allowance is None:
        return Split(allowance=amount)
    if amount > max(0, standing.allowance + standing.granted):
        return None
    allowance = min(amount, max(0, standing.allowance))
    return Split(allowance, amount - allowance)


def split_charge(charge: int, hold: Split) -> Split:
    """Return the charge by pool, in the order of the hold.

    If the charge is more than the hold, the pool that the hold ended in pays the rest, even below zero.
    """
    if hold.granted == 0:
        return Split(allowance=charge)
    allowance = min(charge, hold.allowance)
    return Split(allowance, charge - allowance)
