"""The price of clones: it is reserved before the request to a provider, and charged when the provider has the
clone.

A bill has the id of its clone's row, so each clone is charged once, whichever worker finds it. Until then the
hold and the count of the cycle are rows: after a kill, the next holder of the lease goes on with them. A
clone that was not made costs nothing. An operator's order is free, and has a usage row.
"""

from __future__ import annotations

from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter

from policies.cycles import Cycle, cycle_at
from policies.plans import Terms
from policies.price import FREE
from proxy.catalogue.clones import ENGINES_FIELD
from proxy.config.model_names import CLONE
from proxy.errors import NotAllowed, QuotaExceeded, RequestFailed
from proxy.features.clones import counts, records
from proxy.features.clones.records import CloneRecord
from proxy.ledger import Ledger, Payer
from proxy.ledger.durable_ends import FixedPrice, Purchase
from proxy.storage import accounts, durable_holds
from proxy.storage.durable_holds import JOB_KEY, DurableHold
from proxy.storage.store import StorageFailed


class CloneBills:
    """The bills of clones in one worker. `ended_clones` counts them by engine and result."""

    def __init__(self, ledger: Ledger, registry: CollectorRegistry) -> None:
        self.ended_clones = Counter(
            "voxgate_clones",
            "Clones at providers: `made`, `deleted`, or `failed` for good.",
            ["engine", "result"],
            registry=registry,
        )
        self._store = ledger.store
        self._ledger = ledger
        self._price = FixedPrice(ledger, "clone")

    async def check_clone_count(self, account: str, terms: Terms, number: int) -> None:
        """Check early that an account may have `number` more clones. Clones that wait count too. `reserve`
        checks again.

        Raises NotAllowed if the plan has no clones, and QuotaExceeded.
        """
        owner = await accounts.get(self._store, account)
        if not number or owner is None:
            return
        waiting = await records.count_waiting(self._store, account)
        cycle = cycle_at(owner.anchor, await self._store.now())
        used = await durable_holds.count_clones(self._store, account, cycle.start)
        if terms.clones is not None and used + waiting + number > terms.clones:
            raise _no_clone_left(terms, cycle)
        payer = Payer(account=account, key=JOB_KEY, anchor=owner.anchor, terms=terms).of_job()
        await self._ledger.check_affordable(payer, (waiting + number) * terms.prices.clone.micro)

    async def reserve(self, clone: CloneRecord, terms: Terms | None) -> None:
        """Reserve the price of a clone once. Raises NotAllowed and QuotaExceeded."""
        if not clone.payer or await durable_holds.get(self._store, clone.id) is not None:
            return
        owner = await accounts.get(self._store, clone.account)
        if owner is None or terms is None:
            raise NotAllowed(
                "The plan of the account is not in force.", param=ENGINES_FIELD, code="plan_not_found"
            )
        payer = Payer(account=clone.account, key=JOB_KEY, anchor=owner.anchor, terms=terms)
        hold = await self._price.hold(clone.id, payer, terms.prices.clone.micro)
        # A write goes on if its caller is cancelled. So the hold counts as stored unless the database says
        # otherwise.
        is_stored = True
        try:
            is_stored = await counts.store_hold(
                self._store, self._price.durable(hold), clone.fence, terms.clones
            )
        except StorageFailed:
            is_stored = await durable_holds.get(self._store, clone.id) is not None
            raise
        finally:
            self._price.keep_or_drop(hold, is_stored=is_stored)
        if not is_stored:
            raise _no_clone_left(terms, hold.held.cycle)

    async def settle(self, clone: CloneRecord, terms: Terms | None, fee_micro_usd: int | None) -> None:
        """Charge for a clone that the provider has, unless it was charged before.

        If its hold was released before the clone was found, the account's balance may become negative.
        """
        hold = await durable_holds.get(self._store, clone.id)
        due = hold or await self._new_hold(clone, terms)
        purchase = Purchase(
            payer=clone.payer,
            engine=clone.engine,
            model=CLONE,
            voice=clone.voice,
            tag=clone.tag,
            micro_usd=fee_micro_usd,
        )
        if await self._price.charge(due, purchase):
            if hold is None and clone.payer:
                await counts.count_clone(self._store, due.account, due.pool)
            self.ended_clones.labels(clone.engine, "made").inc()
        await self._price.forget(clone.id, clone.account)

    async def _new_hold(self, clone: CloneRecord, terms: Terms | None) -> DurableHold:
        """Return a hold that is not stored, with the price of a clone. Without a payer, the price is 0."""
        owner = await accounts.get(self._store, clone.account)
        price = terms.prices.clone if clone.payer and terms is not None else FREE
        cycle = cycle_at(0 if owner is None else owner.anchor, await self._store.now())
        return DurableHold(
            request=clone.id, account=clone.account, pool=cycle.start, allowance=price.micro, granted=0
        )

    async def release(self, clone: CloneRecord) -> None:
        await counts.release_hold(self._store, clone.id)
        self._ledger.holds.drop(clone.id, clone.account)


def _no_clone_left(terms: Terms, cycle: Cycle) -> RequestFailed:
    if terms.clones == 0:
        return NotAllowed(
            f"Your plan '{terms.plan}' has no clones at providers.",
            param=ENGINES_FIELD,
            code="clones_not_allowed",
        )
    ends = datetime.fromtimestamp(cycle.end / 1e6, UTC)
    return QuotaExceeded(
        f"Your plan '{terms.plan}' allows {terms.clones} clones a cycle, deleted ones included; not enough "
        f"are left until {ends:%Y-%m-%d}."
    )
