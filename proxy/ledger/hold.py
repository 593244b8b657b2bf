"""The hold of one request: credits that are kept back until its one settlement."""

from __future__ import annotations

from contextlib import suppress

from policies import quota
from proxy.ledger.charges import Spent, SpentAttempt, compute_charge
from proxy.ledger.holds import HeldCredits, HoldRequest, Holds
from proxy.ledger.settlement import End, Settlement
from proxy.storage import entries
from proxy.storage.costs import Cost
from proxy.storage.entries import GRANTED, Entry
from proxy.storage.receipts import ReceiptRow
from proxy.storage.store import StorageFailed, StorageUnreachable
from proxy.storage.usage import Outcome, UsageRow


class Hold:
    """The credits that are kept back for one request. `settle` counts once, and later calls do nothing."""

    def __init__(self, holds: Holds, hold_request: HoldRequest, held: HeldCredits) -> None:
        self.hold_request = hold_request
        self._holds = holds
        self._held = held
        self._settlement = Settlement(holds, hold_request)
        self._settled = False
        self._is_database_away = False
        self._late_outcome: Outcome = "failed"

    def __repr__(self) -> str:
        return f"<Hold {self.hold_request.request_id} {'settled' if self._settled else 'open'}>"

    async def settle(self, outcome: Outcome, spent: Spent) -> None:
        """Write the end of the request. It returns after the commit: only then may the last chunk go out."""
        if self._settled:
            return
        # A client that did not get the last chunk has no whole answer, and does not owe for one.
        self._late_outcome = "left" if outcome == "left" else "failed"
        try:
            await self._settlement.write(self._end(outcome, spent))
        except StorageUnreachable:
            self._is_database_away = True
            raise
        self._settled = True

    async def abandon(self, spent: Spent) -> None:
        """If the caller forgot to settle, settle as failed. Afterwards nothing is held in any case.

        When the database does not take the settlement now, it is written later.
        """
        if self._settled:
            return
        try:
            # A caller that has waited for the database once has waited long enough.
            if not self._is_database_away:
                with suppress(StorageFailed):
                    await self.settle("failed", spent)
        finally:
            if not self._settled:
                self._holds.drop(self.hold_request.request_id, self.hold_request.account)
                self._settlement.write_later(self._end(self._late_outcome, spent))

    @property
    def is_settled(self) -> bool:
        return self._settled

    def _end(self, outcome: Outcome, spent: Spent) -> End:
        charge = compute_charge(spent, self.hold_request.terms.prices, outcome)
        costly = [attempt for attempt in spent.attempts if attempt.rate is not None]
        costs = [self._cost(number, attempt) for number, attempt in enumerate(costly, 1)]
        request = self.hold_request
        row = UsageRow(
            id=request.request_id,
            account=request.account,
            key=request.key,
            started=self._held.at,
            engine=spent.engine,
            model=spent.model,
            voice=spent.voice,
            language=spent.language,
            format=spent.format,
            characters=spent.characters,
            samples=spent.samples,
            sample_rate_hz=spent.sample_rate_hz,
            first_byte_ms=spent.first_byte_ms,
            error=spent.error,
            cache=spent.cache,
            outcome=outcome,
            credits=charge.amount,
            price_micro=charge.price.micro,
            price_per=charge.price.per,
            units=sum(attempt.units or 0.0 for attempt in spent.attempts) or None,
            micro_usd=sum(cost.micro_usd for cost in costs),
        )
        receipt = None
        if spent.facts is not None and outcome == "finished":
            receipt = ReceiptRow.of(row.id, row.account, spent.facts)
        return End(outcome, row, self._build_entries(charge.amount), costs, receipt)

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

    def _cost(self, number: int, attempt: SpentAttempt) -> Cost:
        return Cost(
            request=self.hold_request.request_id,
            attempt=number,
            account=self.hold_request.account,
            at=self._held.at,
            engine=attempt.engine,
            model=attempt.model,
            characters=attempt.characters,
            audio_ms=round(attempt.seconds * 1000),
            units=attempt.units,
            micro_usd=attempt.micro_usd,
        )
