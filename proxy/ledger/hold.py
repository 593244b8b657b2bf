"""One request's place in the ledger: what it has come to so far, and its one settlement."""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

import msgspec

from policies import costs, price, quota
from policies.costs import Rate
from policies.price import Price
from policies.routing import Model
from proxy.ledger.holds import Held, Holds, Wanted
from proxy.ledger.settling import End, Settling
from proxy.storage import entries, usage
from proxy.storage.costs import Cost
from proxy.storage.costs import added as cost_added
from proxy.storage.entries import GRANTED, Entry
from proxy.storage.store import Statement, StorageFailed, StorageUnreachable
from proxy.storage.usage import Outcome, UsageRow


class Made(Protocol):
    """What one try has come to so far; whoever speaks it counts."""

    @property
    def seconds(self) -> float: ...

    @property
    def units(self) -> float | None: ...


class Attempt(msgspec.Struct, kw_only=True):
    """One try of one engine. `was_taken`: it was really asked, and has not said that it did nothing. Until
    then a request waits in lines of our own, and no provider bills for that."""

    engine: str
    model: str
    characters: int
    made: Made
    rate: Rate | None = None
    billed_on_submit: bool = False
    was_taken: bool = False

    def asked(self, is_asked: bool) -> None:
        self.was_taken = is_asked

    @property
    def micro_usd(self) -> int:
        if self.rate is None:
            return 0
        made = self.made
        return costs.micro_usd(self.rate, seconds=made.seconds, characters=self.characters, units=made.units)


class Spent(msgspec.Struct, kw_only=True):
    """What a request has come to so far; the pipeline fills it in as it learns."""

    engine: str = ""
    model: str = ""
    voice: str = ""
    language: str = ""
    format: str = ""
    characters: int = 0
    samples: int = 0
    sample_rate_hz: int = 24_000
    first_byte_ms: int | None = None
    error: str | None = None
    cache: str = "off"


class Hold:
    """`settle` counts once, later calls do nothing."""

    def __init__(self, holds: Holds, wanted: Wanted, held: Held) -> None:
        self.spent = Spent()
        self.attempts: list[Attempt] = []
        self.wanted = wanted
        self._holds = holds
        self._held = held
        self._settling = Settling(holds, wanted)
        self._settled = False
        self._is_away = False
        self._owed: Outcome = "failed"

    def __repr__(self) -> str:
        return f"<Hold {self.wanted.request} {'settled' if self._settled else 'open'}>"

    def spoken_by(self, model: Model) -> None:
        """Who has it in hand now: its price, and how it bills, are what counts at the settlement."""
        self.spent.engine, self.spent.model = model.engine, model.info.id

    async def settle(self, outcome: Outcome) -> None:
        """Returns after the commit: only then may the last chunk go out."""
        if self._settled:
            return
        # Who was not given the last chunk has no whole answer, and does not owe for one.
        self._owed = "left" if outcome == "left" else "failed"
        try:
            await self._settling.write(self._end(outcome))
        except StorageUnreachable:
            self._is_away = True
            raise
        self._settled = True

    async def abandon(self) -> None:
        """The end of a block that was left: it settles as failed. Nothing is held after it, come what may;
        what the database does not take now is owed."""
        if self._settled:
            return
        try:
            # Whoever has waited for the database once has waited long enough.
            if not self._is_away:
                with suppress(StorageFailed):
                    await self.settle("failed")
        finally:
            if not self._settled:
                self._holds.drop(self.wanted.request, self.wanted.account)
                self._settling.owe(self._end(self._owed))

    @property
    def _was_submitted(self) -> bool:
        """To whoever had it in hand: of those that bill for that, none was asked for nothing."""
        spoken = (self.spent.engine, self.spent.model)
        return any(
            attempt.was_taken and attempt.billed_on_submit
            for attempt in self.attempts
            if (attempt.engine, attempt.model) == spoken
        )

    def _price(self) -> Price:
        prices = self.wanted.terms.prices
        return (
            prices.cached
            if self.spent.cache == "hit"
            else prices.of_model(self.spent.engine, self.spent.model)
        )

    def _charge(self, used: Price, outcome: Outcome) -> int:
        if outcome == "failed":
            return 0
        spent = self.spent
        written = price.charge(
            used, samples=spent.samples, rate_hz=spent.sample_rate_hz, characters=spent.characters
        )
        if outcome == "left" and self._was_submitted:
            return max(
                written, price.ahead(used, estimated_s=self.wanted.estimated_s, characters=spent.characters)
            )
        return written

    def _end(self, outcome: Outcome) -> End:
        used = self._price()
        charge = self._charge(used, outcome)
        return End(outcome, self._entries(charge), self._beside(outcome, charge, used))

    def _entries(self, charge: int) -> list[Entry]:
        wanted, at = self.wanted, self._held.at
        split = quota.settled(charge, self._held.split)
        pools = ((self._held.cycle.start, split.allowance), (GRANTED, split.granted))
        return [
            entries.spend(wanted.request, wanted.account, pool, amount, at=at, actor=wanted.key)
            for pool, amount in pools
            if amount
        ]

    def _beside(self, outcome: Outcome, charge: int, used: Price) -> list[Statement]:
        taken = [attempt for attempt in self.attempts if attempt.rate is not None and attempt.was_taken]
        row = UsageRow(
            id=self.wanted.request,
            account=self.wanted.account,
            key=self.wanted.key,
            started=self._held.at,
            outcome=outcome,
            credits=charge,
            price_micro=used.micro,
            price_per=used.per,
            units=sum(attempt.made.units or 0.0 for attempt in self.attempts) or None,
            micro_usd=sum(attempt.micro_usd for attempt in taken),
            **msgspec.structs.asdict(self.spent),
        )
        costs_ = [cost_added(self._cost(number, attempt)) for number, attempt in enumerate(taken, 1)]
        return [usage.added(row), *costs_]

    def _cost(self, number: int, attempt: Attempt) -> Cost:
        return Cost(
            request=self.wanted.request,
            attempt=number,
            account=self.wanted.account,
            at=self._held.at,
            engine=attempt.engine,
            model=attempt.model,
            characters=attempt.characters,
            audio_ms=round(attempt.made.seconds * 1000),
            units=attempt.made.units,
            micro_usd=attempt.micro_usd,
        )
