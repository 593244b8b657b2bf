"""What clones cost: held back before the request to a provider, and settled once the provider has the clone.

A bill has the id of its clone's row, so it is settled once, whoever learns of the clone. Until then its hold
and its place among the clones of the cycle are rows: a kill keeps them, and the lease's next holder goes on.
What was not made costs nothing. What the operator ordered is on record, and free.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from policies.admission import Split
from policies.cycles import Cycle, cycle_at
from policies.limits import Caps
from policies.plans import Terms
from policies.price import FREE, Price
from proxy.catalogue.clones import PARAM
from proxy.config.model_names import CLONE
from proxy.errors import NotAllowed, QuotaExceeded, RequestFailed
from proxy.features.clones import records
from proxy.features.clones.metrics import CloneMetrics
from proxy.features.clones.records import CloneRecord
from proxy.ledger import HoldRequest, Ledger
from proxy.ledger.durable_ends import DurableEnds
from proxy.storage import accounts, durable_holds, usage
from proxy.storage.costs import Cost
from proxy.storage.durable_holds import JOB_KEY, DurableHold
from proxy.storage.store import StorageFailed
from proxy.storage.usage import UsageRow


class CloneBills:
    """The bills of clones in one worker. `metrics` counts what was made."""

    def __init__(self, ledger: Ledger, metrics: CloneMetrics) -> None:
        self.metrics = metrics
        self._store = ledger.store
        self._ledger = ledger
        self._ends = DurableEnds(ledger)

    async def check(self, account: str, terms: Terms, number: int) -> None:
        """Refuse so many more clones before anything is made. Wishes that are open count too.

        Raises NotAllowed if the plan has none, and QuotaExceeded. `reserve` decides.
        """
        owner = await accounts.get(self._store, account)
        if not number or owner is None:
            return
        waiting = await records.count_waiting(self._store, account)
        cycle = cycle_at(owner.anchor, await self._store.now())
        used = await durable_holds.clones_used(self._store, account, cycle.start)
        if terms.clones is not None and used + waiting + number > terms.clones:
            raise _no_clone_left(terms, cycle)
        request = _request("", account, owner.anchor, terms)
        await self._ledger.check(request, (waiting + number) * request.amount)

    async def reserve(self, held: CloneRecord, terms: Terms | None) -> None:
        """Hold back what a clone costs, unless that was done. Raises NotAllowed and QuotaExceeded."""
        if not held.payer or await durable_holds.get(self._store, held.id) is not None:
            return
        owner = await accounts.get(self._store, held.account)
        if owner is None or terms is None:
            raise NotAllowed("The plan of the account is not in force.", param=PARAM, code="plan_not_found")
        taken = (await self._ledger.hold(_request(held.id, held.account, owner.anchor, terms))).held
        hold = _durable(held, taken.cycle, taken.split)
        # A write is carried out though its caller is cancelled. If it was not, the next try says so.
        is_kept = True
        try:
            is_kept = await durable_holds.keep(self._store, hold, held.fence, terms.clones)
        except StorageFailed:
            is_kept = await durable_holds.get(self._store, held.id) is not None
            raise
        finally:
            if is_kept:
                self._ledger.holds.keep(held.id)
            else:
                self._ledger.holds.drop(held.id, held.account)
        if not is_kept:
            raise _no_clone_left(terms, taken.cycle)

    async def settle(self, held: CloneRecord, terms: Terms | None, fee: int | None) -> None:
        """Charge for a clone that the provider has. It does nothing if that was done.

        Without a hold, which was given back before the clone was found, the account may come to owe.
        """
        if not await usage.is_there(self._store, held.id):
            hold = await durable_holds.get(self._store, held.id)
            owed = hold or await self._without_hold(held, terms)
            row = _usage(held, owed, await self._store.now(), fee)
            await self._ends.settle(row, owed, () if fee is None else (_cost(row),))
            if hold is None and held.payer:
                await durable_holds.count(self._store, owed.account, owed.pool)
            self.metrics.ended(held.engine, "made")
        await self._ends.forget(held.id, held.account)

    async def _without_hold(self, held: CloneRecord, terms: Terms | None) -> DurableHold:
        owner = await accounts.get(self._store, held.account)
        price = terms.prices.clone if held.payer and terms is not None else FREE
        cycle = cycle_at(0 if owner is None else owner.anchor, await self._store.now())
        return _durable(held, cycle, Split(allowance=price.micro))

    async def release(self, held: CloneRecord) -> None:
        """Give back what was held for a clone that was not made."""
        await durable_holds.release(self._store, held.id)
        self._ledger.holds.drop(held.id, held.account)


def _request(id_: str, account: str, anchor: int, terms: Terms) -> HoldRequest:
    """Return the hold of a clone. It is no stream, so that no speech has to wait for it."""
    return HoldRequest(
        request_id=id_,
        account=account,
        key=JOB_KEY,
        anchor=anchor,
        terms=msgspec.structs.replace(terms, streams=None, key=Caps()),
        amount=terms.prices.clone.micro,
    )


def _durable(held: CloneRecord, cycle: Cycle, split: Split) -> DurableHold:
    return DurableHold(
        request=held.id,
        account=held.account,
        pool=cycle.start,
        allowance=split.allowance,
        granted=split.granted,
    )


def _usage(held: CloneRecord, hold: DurableHold, now: int, fee: int | None) -> UsageRow:
    """Return the row of a clone. It is dated now, and charged in the cycle that it was held in."""
    price = Price(hold.split.amount, "job")
    return UsageRow(
        id=held.id,
        account=held.account,
        key=held.payer,
        started=now,
        engine=held.engine,
        model=CLONE,
        voice=held.voice,
        language="",
        characters=0,
        samples=0,
        sample_rate_hz=24_000,
        format="",
        outcome="finished",
        credits=price.micro,
        price_micro=price.micro,
        price_per=price.per,
        micro_usd=fee or 0,
        kind="clone",
    )


def _cost(row: UsageRow) -> Cost:
    return Cost(
        request=row.id,
        attempt=1,
        account=row.account,
        at=row.started,
        engine=row.engine,
        model=row.model,
        characters=0,
        audio_ms=0,
        units=None,
        micro_usd=row.micro_usd,
    )


def _no_clone_left(terms: Terms, cycle: Cycle) -> RequestFailed:
    if terms.clones == 0:
        return NotAllowed(
            f"Your plan '{terms.plan}' has no clones at providers.", param=PARAM, code="clones_not_allowed"
        )
    ends = datetime.fromtimestamp(cycle.end / 1e6, UTC)
    return QuotaExceeded(
        f"Your plan '{terms.plan}' allows {terms.clones} clones a cycle, deleted ones included; not enough "
        f"are left until {ends:%Y-%m-%d}."
    )
