"""From which pool a request is paid: the cycle's allowance first, then granted credits."""

from __future__ import annotations

import msgspec


class Split(msgspec.Struct, frozen=True):
    """An amount, by the pool that it comes from; micro-credits, never negative."""

    allowance: int = 0
    granted: int = 0

    @property
    def amount(self) -> int:
        return self.allowance + self.granted


class CreditStanding(msgspec.Struct, frozen=True):
    """What an account has at one moment, live holds already taken off. `allowance` None is no limit.

    It is the plan's allowance of this moment less what the cycle has spent, and never a number that was set
    at the cycle's start: a change of plan counts at once, and what is spent stays spent. Either pool may be
    below zero, the allowance after a change to a smaller plan, both because the last request before the end
    may have come to more than was held.
    """

    allowance: int | None
    granted: int

    @property
    def available(self) -> int | None:
        return None if self.allowance is None else self.allowance + self.granted


def split(amount: int, standing: CreditStanding) -> Split | None:
    """How `amount` would be held, or None where there is not so much. Holds never oversell; what costs
    nothing is held even by who has less than nothing."""
    if standing.allowance is None:
        return Split(allowance=amount)
    if amount > max(0, standing.allowance + standing.granted):
        return None
    allowance = min(amount, max(0, standing.allowance))
    return Split(allowance, amount - allowance)


def split_charge(charge: int, held: Split) -> Split:
    """What a charge comes to by pool: in the order in which it was held. What goes beyond the hold is
    taken from the pool that the hold ended in, even below zero."""
    if held.granted == 0:
        return Split(allowance=charge)
    allowance = min(charge, held.allowance)
    return Split(allowance, charge - allowance)
