"""The ledger in plain Python, for `test_stateful`: one account's credits and requests, by the rules as told.

Nothing here is taken from `policies` but the months of a cycle, so that both would have to be wrong alike.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from policies.cycles import cycle_at
from policies.plans import Terms
from policies.price import MICRO
from proxy.ledger import Outcome

RATE_HZ = 24_000
HOLD_US = 20 * MICRO
SWEPT_US = 600 * MICRO
FOR_EVER = 2**62

Refusal = tuple[str, int]
"""Why, and the limit that is reached."""


class Said(NamedTuple):
    """A part of a text, and the engine that speaks it."""

    engine: str
    characters: int
    estimated_s: int

    def held(self, terms: Terms) -> Fraction:
        return self.cost(terms, self.estimated_s * RATE_HZ)

    def cost(self, terms: Terms, samples: int) -> Fraction:
        price = terms.prices.models.get(self.engine, terms.prices.speech)
        if not samples:
            return Fraction(0)
        if price.per == "minute":
            return Fraction(samples * price.micro, 60 * RATE_HZ)
        return Fraction(price.micro * (self.characters if price.per == "character" else 1))

    def is_by_job(self, terms: Terms) -> bool:
        """A price by job is one for all parts."""
        return terms.prices.models.get(self.engine, terms.prices.speech).per == "job"

    @property
    def most_samples(self) -> int:
        """Where an engine would be stopped."""
        return max(10, 4 * self.estimated_s) * RATE_HZ


class Text(NamedTuple):
    """What a request brings: what it holds and what it costs follow from it."""

    parts: tuple[Said, ...]

    @property
    def characters(self) -> int:
        return sum(part.characters for part in self.parts)

    @property
    def estimated_s(self) -> int:
        return sum(part.estimated_s for part in self.parts)

    def held(self, terms: Terms) -> int:
        return sum(math.ceil(part.held(terms)) for part in self.parts)

    def cost(self, terms: Terms, samples: Sequence[int], submitted: Collection[int] = ()) -> int:
        """For so many samples of each part; those with these numbers are paid for whole."""
        costs = [part.cost(terms, heard) for part, heard in zip(self.parts, samples, strict=True)]
        for number in submitted:
            costs[number] = max(costs[number], self.parts[number].held(terms))
        by_job = [cost for part, cost in zip(self.parts, costs, strict=True) if part.is_by_job(terms)]
        return math.ceil(sum(costs) - sum(by_job) + max(by_job, default=0))

    @property
    def most_samples(self) -> list[int]:
        return [part.most_samples for part in self.parts]


@dataclass
class Taken:
    """A hold. Its worker knows it until it ends, the others until its time is over, or its row is swept."""

    key: str
    text: Text
    terms: Terms
    pool: int
    allowance: int
    granted: int
    expires: int
    is_swept: bool = False
    was_late: bool = False
    """It was not counted for a while, and others may have had its credits and its stream."""


@dataclass
class Books:
    anchor: int
    pools: dict[int, int] = field(default_factory=dict)
    taken: dict[str, Taken] = field(default_factory=dict)
    spent: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    """By request: pool and amount, the cycle's first."""
    refunded: set[str] = field(default_factory=set)
    outcomes: dict[str, tuple[Outcome, int]] = field(default_factory=dict)
    most_streams: int = 0
    most_over: int = 0
    excused: int = 0
    """How far below the floor somebody wanted it: corrections, smaller plans, requests that came late."""

    def take_hold(
        self, request: str, key: str, text: Text, terms: Terms, now: int, expires: int
    ) -> Refusal | None:
        live = [hold for hold in self.taken.values() if hold.expires > now]
        if terms.streams is not None and len(live) >= terms.streams:
            return "streams", terms.streams
        of_key = sum(hold.key == key for hold in live)
        if terms.key.streams is not None and of_key >= terms.key.streams:
            return "key_streams", terms.key.streams
        allowance, granted = self.standing(terms, now)
        amount = text.held(terms)
        if allowance is None:
            part = amount
        elif amount > max(0, allowance + granted):
            return "credits", allowance + granted
        else:
            part = max(0, min(amount, allowance))
        pool = cycle_at(self.anchor, now).start
        self.taken[request] = Taken(key, text, terms, pool, part, amount - part, expires)
        self.most_over = max(self.most_over, text.cost(terms, text.most_samples) - amount)
        self.most_streams = max(self.most_streams, terms.streams or 0)
        return None

    def standing(self, terms: Terms, now: int) -> tuple[int | None, int]:
        """What is left of the allowance and of granted credits, live holds taken off."""
        live = [hold for hold in self.taken.values() if hold.expires > now]
        pool = cycle_at(self.anchor, now).start
        granted = self.pools.get(0, 0) - sum(hold.granted for hold in live)
        if terms.allowance is None:
            return None, granted
        held = sum(hold.allowance for hold in live if hold.pool == pool)
        return terms.allowance + self.pools.get(pool, 0) - held, granted

    def settle(
        self, request: str, outcome: Outcome, samples: Sequence[int], submitted: Collection[int], now: int
    ) -> None:
        """`samples` were heard of each part; those with the numbers in `submitted` were asked of an engine
        that bills for that."""
        hold = self.taken.pop(request)
        charge = hold.text.cost(hold.terms, samples, submitted if outcome == "left" else ())
        charge = 0 if outcome == "failed" else charge
        from_allowance = min(charge, hold.allowance) if hold.granted else charge
        parts = [(hold.pool, from_allowance), (0, charge - from_allowance)]
        self.spent[request] = [(pool, amount) for pool, amount in parts if amount]
        for pool, amount in self.spent[request]:
            self.move(pool, -amount)
        self.outcomes[request] = (outcome, charge)
        if hold.was_late or hold.expires <= now:
            self.excused += charge

    def refund(self, request: str, amount: int, now: int) -> None:
        cycle = cycle_at(self.anchor, now).start
        for pool, spent in reversed(self.spent[request]):
            self.move(pool if pool == cycle else 0, min(amount, spent))
            amount -= min(amount, spent)
        self.refunded.add(request)

    def move(self, pool: int, amount: int) -> None:
        self.pools[pool] = self.pools.get(pool, 0) + amount

    def charged(self) -> list[str]:
        return [request for request, parts in self.spent.items() if parts]

    def charge_of(self, request: str) -> int:
        return sum(amount for _, amount in self.spent[request])

    def renew(self, requests: set[str], now: int) -> None:
        """One that comes back after its time counts again, though others may have had what it holds."""
        for request, hold in self.taken.items():
            if request in requests and not hold.is_swept:
                if hold.expires <= now:
                    hold.was_late = True
                    self.excused += hold.allowance + hold.granted
                hold.expires = now + HOLD_US
            hold.is_swept |= hold.expires < now - SWEPT_US

    def forget(self, request: str) -> None:
        """Its worker is dead: a row is there until its time is over."""
        if self.taken[request].expires == FOR_EVER:
            del self.taken[request]

    @property
    def floor(self) -> int:
        return -self.most_streams * self.most_over - self.excused
