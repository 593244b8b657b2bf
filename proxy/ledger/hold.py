"""The hold of one request: what the request has come to so far, and its one settlement."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

import msgspec

from policies import costs, price, quota
from policies.costs import Rate
from policies.price import PricedPart
from policies.routing import Model
from proxy.ledger import charges
from proxy.ledger.charges import Charge, SpokenPart
from proxy.ledger.holds import HeldCredits, HoldRequest, Holds
from proxy.ledger.settlement import End, Settlement
from proxy.storage import entries
from proxy.storage.costs import Cost
from proxy.storage.entries import GRANTED, Entry
from proxy.storage.store import StorageFailed, StorageUnreachable
from proxy.storage.usage import Outcome, UsageRow


class AttemptOutput(Protocol):
    """The output of one attempt so far, as its stream counts it."""

    @property
    def seconds(self) -> float: ...

    @property
    def units(self) -> float | None: ...


class Attempt(msgspec.Struct, kw_only=True):
    """One try of one engine, for the part with this number.

    `was_dispatched` is true when the engine has the job and has not said that it did nothing. Before that,
    the job waits in the server's own queue, and no provider bills for it.
    """

    engine: str
    model: str
    characters: int
    output: AttemptOutput
    part: int = 0
    rate: Rate | None = None
    billed_on_submit: bool = False
    was_dispatched: bool = False

    def note_dispatch(self, is_dispatched: bool) -> None:
        self.was_dispatched = is_dispatched

    @property
    def micro_usd(self) -> int:
        if self.rate is None:
            return 0
        seconds, units = self.output.seconds, self.output.units
        return costs.micro_usd(self.rate, seconds=seconds, characters=self.characters, units=units)


class RequestTotals(msgspec.Struct, kw_only=True):
    """The totals of a request so far. The pipeline fills them in while it speaks.

    When several engines or models speak, a plus joins their names, in the order of their parts.
    """

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


class PartSeconds(NamedTuple):
    """The seconds of one part that an engine spoke and that were sent."""

    engine: str
    model: str
    seconds: float


class Hold:
    """The credits that are kept back for one request. `settle` counts once, and later calls do nothing.

    `waited_s` is the time that the request had waited before its hold.
    """

    def __init__(self, holds: Holds, hold_request: HoldRequest, held: HeldCredits) -> None:
        self.totals = RequestTotals()
        self.waited_s = 0.0
        self.attempts: list[Attempt] = []
        self.parts: tuple[SpokenPart, ...] = ()
        self.hold_request = hold_request
        self._holds = holds
        self._held = held
        self._settlement = Settlement(holds, hold_request)
        self._settled = False
        self._is_database_away = False
        self._late_outcome: Outcome = "failed"

    def __repr__(self) -> str:
        return f"<Hold {self.hold_request.request_id} {'settled' if self._settled else 'open'}>"

    @property
    def current_part(self) -> SpokenPart:
        """The part whose turn it is. When the answer breaks, its engine is to blame."""
        return next(part for part in reversed(self.parts) if part.begins is not None)

    def begin_parts(self, parts: Sequence[SpokenPart]) -> None:
        """Set the parts of the answer. Call it before an engine is asked for any of them."""
        self.parts = tuple(parts)
        self.parts[0].begins = 0

    def spoken_parts(self) -> list[PartSeconds]:
        """List the parts that an engine spoke and that were written by now."""
        shares = charges.written_samples(self.parts, self.totals.samples)
        return [
            PartSeconds(part.engine, part.model, samples / self.totals.sample_rate_hz)
            for part, samples in zip(self.parts, shares, strict=True)
            if samples and part.engine
        ]

    def assign_part(self, part: int, model: Model) -> None:
        """Note which model speaks a part. Its price and its way of billing count at the settlement."""
        self.parts[part].engine, self.parts[part].model = model.engine, model.info.id
        self.totals.engine = "+".join(dict.fromkeys(part.engine for part in self.parts if part.engine))
        self.totals.model = "+".join(dict.fromkeys(part.model for part in self.parts if part.model))

    async def settle(self, outcome: Outcome) -> None:
        """Write the end of the request. It returns after the commit: only then may the last chunk go out."""
        if self._settled:
            return
        # A client that did not get the last chunk has no whole answer, and does not owe for one.
        self._late_outcome = "left" if outcome == "left" else "failed"
        try:
            await self._settlement.write(self._end(outcome))
        except StorageUnreachable:
            self._is_database_away = True
            raise
        self._settled = True

    async def abandon(self) -> None:
        """If the caller forgot to settle, settle as failed. Afterwards nothing is held in any case.

        When the database does not take the settlement now, it is written later.
        """
        if self._settled:
            return
        try:
            # A caller that has waited for the database once has waited long enough.
            if not self._is_database_away:
                with suppress(StorageFailed):
                    await self.settle("failed")
        finally:
            if not self._settled:
                self._holds.drop(self.hold_request.request_id, self.hold_request.account)
                self._settlement.write_later(self._end(self._late_outcome))

    def _parts_billed_whole(self, outcome: Outcome) -> set[int]:
        """List the parts that cost their whole price though the client left.

        These are the parts whose engine had the job, and bills as soon as it has a job.
        """
        if outcome != "left":
            return set()
        return {
            attempt.part
            for attempt in self.attempts
            if attempt.was_dispatched and attempt.billed_on_submit and self._speaks_its_part(attempt)
        }

    def _speaks_its_part(self, attempt: Attempt) -> bool:
        part = self.parts[attempt.part]
        return (attempt.engine, attempt.model) == (part.engine, part.model)

    def _charge(self, outcome: Outcome) -> Charge:
        totals, prices = self.totals, self.hold_request.terms.prices
        if totals.cache == "hit":
            parts = (PricedPart(prices.cached, totals.samples, totals.characters),)
            found = Charge(price.total(parts, totals.sample_rate_hz), prices.cached)
        else:
            found = charges.compute_charge(
                self.parts, totals.samples, totals.sample_rate_hz, prices, self._parts_billed_whole(outcome)
            )
        return found if outcome != "failed" else Charge(0, found.price)

    def _end(self, outcome: Outcome) -> End:
        charge = self._charge(outcome)
        taken = [attempt for attempt in self.attempts if attempt.rate is not None and attempt.was_dispatched]
        costs_ = [self._cost(number, attempt) for number, attempt in enumerate(taken, 1)]
        micro_usd = sum(cost.micro_usd for cost in costs_)
        row = self._build_usage(outcome, charge, micro_usd)
        return End(outcome, row, self._build_entries(charge.amount), costs_)

    def _build_entries(self, charge: int) -> list[Entry]:
        hold_request, at = self.hold_request, self._held.at
        split = quota.split_charge(charge, self._held.split)
        pools = ((self._held.cycle.start, split.allowance), (GRANTED, split.granted))
        return [
            entries.spend(
                hold_request.request_id, hold_request.account, pool, amount, at=at, actor=hold_request.key
            )
            for pool, amount in pools
            if amount
        ]

    def _build_usage(self, outcome: Outcome, charge: Charge, micro_usd: int) -> UsageRow:
        return UsageRow(
            id=self.hold_request.request_id,
            account=self.hold_request.account,
            key=self.hold_request.key,
            started=self._held.at,
            outcome=outcome,
            credits=charge.amount,
            price_micro=charge.price.micro,
            price_per=charge.price.per,
            units=sum(attempt.output.units or 0.0 for attempt in self.attempts) or None,
            micro_usd=micro_usd,
            **msgspec.structs.asdict(self.totals),
        )

    def _cost(self, number: int, attempt: Attempt) -> Cost:
        return Cost(
            request=self.hold_request.request_id,
            attempt=number,
            account=self.hold_request.account,
            at=self._held.at,
            engine=attempt.engine,
            model=attempt.model,
            characters=attempt.characters,
            audio_ms=round(attempt.output.seconds * 1000),
            units=attempt.output.units,
            micro_usd=attempt.micro_usd,
        )
