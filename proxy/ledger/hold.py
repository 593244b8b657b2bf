"""The hold of one request: credits that are reserved until its one settlement."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import suppress

from proxy.ledger.charges import Spent, SpentAttempt, compute_charge, make_spend_entries
from proxy.ledger.holds import HeldCredits, HoldRequest, Holds
from proxy.ledger.settlement import End, Settlement
from proxy.storage.costs import Cost
from proxy.storage.store import StorageFailed
from proxy.storage.usage import Outcome, UsageRow


class Hold(Settlement):
    """The credits that are reserved for one request. `settle` counts once, and later calls do nothing."""

    _outcome_if_late: Outcome = "failed"

    def __init__(self, holds: Holds, hold_request: HoldRequest, held: HeldCredits) -> None:
        super().__init__(holds, hold_request)
        self.held = held

    def __repr__(self) -> str:
        return f"<Hold {self.hold_request.request_id} {'settled' if self.is_written else 'open'}>"

    def settle(self, outcome: Outcome, spent: Spent) -> Awaitable[None]:
        """Write the end of the request, and wait for the commit. Only then may the last chunk be sent."""
        if self.is_written:
            return _nothing()
        # If the write fails, the client does not get the last chunk, and does not pay for a whole answer.
        self._outcome_if_late = "left" if outcome == "left" else "failed"
        return self.write_end(self._end(outcome, spent))

    async def abandon(self, spent: Spent) -> None:
        """Settle as failed, unless `settle` has written the end. Afterwards nothing is held in any case.

        If the database does not take the settlement now, it is written later.
        """
        if self.is_written:
            return
        try:
            # `settle` has waited for an unreachable database already, so this does not wait again.
            if not self.was_unreachable:
                with suppress(StorageFailed):
                    await self.settle("failed", spent)
        finally:
            if not self.is_written:
                self._holds.drop(self.hold_request.request_id, self.hold_request.account)
                self.write_later(self._end(self._outcome_if_late, spent))

    def _end(self, outcome: Outcome, spent: Spent) -> End:
        charge = compute_charge(spent, self.hold_request.terms.prices, outcome)
        costs: list[Cost] = []
        units, micro_usd = 0.0, 0
        for attempt in spent.attempts:
            units += attempt.units or 0.0
            if attempt.rate is not None:
                costs.append(cost := self._cost(len(costs) + 1, attempt))
                micro_usd += cost.micro_usd
        request = self.hold_request
        row = UsageRow(
            id=request.request_id,
            account=request.account,
            key=request.key,
            started=self.held.at,
            engine=spent.engine,
            model=spent.model,
            voice=spent.voice,
            language=spent.language,
            format=spent.format,
            characters=spent.characters,
            samples=spent.charged_samples,
            sample_rate_hz=spent.sample_rate_hz,
            first_byte_ms=spent.first_byte_ms,
            error=spent.error,
            cache=spent.cache,
            substitute=spent.substitute,
            outcome=outcome,
            credits=charge.amount,
            price_micro=charge.price.micro,
            price_per=charge.price.per,
            units=units or None,
            micro_usd=micro_usd,
            kind=spent.kind,
            job=request.job,
            tag=request.tag,
            checked=spent.checked,
        )
        paid = make_spend_entries(row, self.held.cycle.start, self.held.split) if charge.amount else []
        checked = spent.make_rows(not charge.is_free) if spent.make_rows else ()
        return End(outcome, row, paid, costs, (*spent.rows, *checked))

    def _cost(self, number: int, attempt: SpentAttempt) -> Cost:
        return Cost(
            request=self.hold_request.request_id,
            attempt=number,
            account=self.hold_request.account,
            at=self.held.at,
            engine=attempt.engine,
            model=attempt.model,
            characters=attempt.characters,
            audio_ms=round(attempt.seconds * 1000),
            units=attempt.units,
            micro_usd=attempt.micro_usd,
        )


async def _nothing() -> None:
    """Do nothing: the end was written before."""
