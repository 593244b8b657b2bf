"""One request's place in the ledger: what it has come to so far, and its one settlement."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

import msgspec

from policies import costs, price, quota
from policies.costs import Rate
from policies.price import PricedPart
from policies.routing import Model
from proxy.ledger import charging
from proxy.ledger.charging import Charge, SpokenPart
from proxy.ledger.holds import HeldCredits, HoldRequest, Holds
from proxy.ledger.settling import End, Settlement
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
    """One try of one engine, for the part with this number. `was_taken`: it was really asked, and has not
    said that it did nothing. Until then a request waits in lines of our own: no provider bills for that."""

    engine: str
    model: str
    characters: int
    made: Made
    part: int = 0
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


class AttemptCost(msgspec.Struct, kw_only=True):
    """What a request has come to so far; the pipeline fills it in as it learns. Where several engines or
    models speak, their names are joined by a plus, in the order of their parts."""

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
    """`settle` counts once, later calls do nothing. `waited_s` is what the request had waited before it."""

    def __init__(self, holds: Holds, wanted: HoldRequest, held: HeldCredits) -> None:
        self.spent = AttemptCost()
        self.waited_s = 0.0
        self.attempts: list[Attempt] = []
        self.parts: tuple[SpokenPart, ...] = ()
        self.wanted = wanted
        self._holds = holds
        self._held = held
        self._settling = Settlement(holds, wanted)
        self._settled = False
        self._is_away = False
        self._owed: Outcome = "failed"

    def __repr__(self) -> str:
        return f"<Hold {self.wanted.request} {'settled' if self._settled else 'open'}>"

    @property
    def now(self) -> SpokenPart:
        """The part whose turn it is; who has it in hand is to blame where the answer breaks."""
        return next(part for part in reversed(self.parts) if part.begins is not None)

    def speaks(self, parts: Sequence[SpokenPart]) -> None:
        """Before any of them is asked for."""
        self.parts = tuple(parts)
        self.parts[0].begins = 0

    def heard(self) -> list[tuple[str, str, float]]:
        """Of each part that an engine spoke and that was written by now: engine, model, seconds."""
        shares = charging.written(self.parts, self.spent.samples)
        return [
            (part.engine, part.model, samples / self.spent.sample_rate_hz)
            for part, samples in zip(self.parts, shares, strict=True)
            if samples and part.engine
        ]

    def spoken_by(self, part: int, model: Model) -> None:
        """Who has the part in hand now: its price, and how it bills, are what counts at the settlement."""
        self.parts[part].engine, self.parts[part].model = model.engine, model.info.id
        self.spent.engine = "+".join(dict.fromkeys(part.engine for part in self.parts if part.engine))
        self.spent.model = "+".join(dict.fromkeys(part.model for part in self.parts if part.model))

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

    def _paid_whole(self, outcome: Outcome) -> set[int]:
        """The parts that are paid for whole: left by the client when whoever had them in hand, and bills for
        that, had been asked."""
        if outcome != "left":
            return set()
        return {
            attempt.part
            for attempt in self.attempts
            if attempt.was_taken and attempt.billed_on_submit and self._has_in_hand(attempt)
        }

    def _has_in_hand(self, attempt: Attempt) -> bool:
        part = self.parts[attempt.part]
        return (attempt.engine, attempt.model) == (part.engine, part.model)

    def _charge(self, outcome: Outcome) -> Charge:
        spent, prices = self.spent, self.wanted.terms.prices
        if spent.cache == "hit":
            parts = (PricedPart(prices.cached, spent.samples, spent.characters),)
            found = Charge(price.total(parts, spent.sample_rate_hz), prices.cached)
        else:
            found = charging.charge(
                self.parts, spent.samples, spent.sample_rate_hz, prices, self._paid_whole(outcome)
            )
        return found if outcome != "failed" else Charge(0, found.price)

    def _end(self, outcome: Outcome) -> End:
        charge = self._charge(outcome)
        return End(outcome, self._entries(charge.amount), self._beside(outcome, charge))

    def _entries(self, charge: int) -> list[Entry]:
        wanted, at = self.wanted, self._held.at
        split = quota.settled(charge, self._held.split)
        pools = ((self._held.cycle.start, split.allowance), (GRANTED, split.granted))
        return [
            entries.spend(wanted.request, wanted.account, pool, amount, at=at, actor=wanted.key)
            for pool, amount in pools
            if amount
        ]

    def _beside(self, outcome: Outcome, charge: Charge) -> list[Statement]:
        taken = [attempt for attempt in self.attempts if attempt.rate is not None and attempt.was_taken]
        row = UsageRow(
            id=self.wanted.request,
            account=self.wanted.account,
            key=self.wanted.key,
            started=self._held.at,
            outcome=outcome,
            credits=charge.amount,
            price_micro=charge.price.micro,
            price_per=charge.price.per,
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
