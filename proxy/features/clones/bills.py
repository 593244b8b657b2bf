"""The cost of clones: reserved before the request to a provider, settled when the provider has the clone.

A bill has the id of its clone's row, so it is settled once, whichever worker finds the clone. Until then its
hold and its place among the clones of the cycle are rows: a kill leaves them, and the lease's next holder
goes on. A clone that was not made costs nothing. An operator's order is on record, and free.
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
    """The bills of clones in one worker. `ended` counts ended clones, by engine and result."""

    def __init__(self, ledger: Ledger, registry: CollectorRegistry) -> None:
        self.ended = Counter(
            "voxgate_clones",
            "Clones at providers: `made`, `deleted`, or `failed` for good.",
            ["engine", "result"],
            registry=registry,
        )
        self._store = ledger.store
        self._ledger = ledger
        self._price = FixedPrice(ledger, "clone")

    async def check_clone_count(self, account: str, terms: Terms, number: int) -> None:
        """Refuse so many more clones before anything is made. Open tasks count too.

        Raises NotAllowed if the plan has none, and QuotaExceeded. `reserve` decides.
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

    async def reserve(self, held: CloneRecord, terms: Terms | None) -> None:
        """Reserve the price of a clone once. Raises NotAllowed and QuotaExceeded."""
        if not held.payer or await durable_holds.get(self._store, held.id) is not None:
            return
        owner = await accounts.get(self._store, held.account)
        if owner is None or terms is None:
            raise NotAllowed(
                "The plan of the account is not in force.", param=ENGINES_FIELD, code="plan_not_found"
            )
        payer = Payer(account=held.account, key=JOB_KEY, anchor=owner.anchor, terms=terms)
        hold = await self._price.hold(held.id, payer, terms.prices.clone.micro)
        # A write is carried out though its caller is cancelled. If it was not, the next try says so.
        is_stored = True
        try:
            is_stored = await counts.keep(self._store, self._price.durable(hold), held.fence, terms.clones)
        except StorageFailed:
            is_stored = await durable_holds.get(self._store, held.id) is not None
            raise
        finally:
            self._price.note(hold, is_stored=is_stored)
        if not is_stored:
            raise _no_clone_left(terms, hold.held.cycle)

    async def settle(self, held: CloneRecord, terms: Terms | None, fee: int | None) -> None:
        """Charge for a clone that the provider has. It does nothing if that was done.

        Without a hold, which was given back before the clone was found, the account may come to owe.
        """
        hold = await durable_holds.get(self._store, held.id)
        due = hold or await self._without_hold(held, terms)
        made = Purchase(
            payer=held.payer,
            engine=held.engine,
            model=CLONE,
            voice=held.voice,
            tag=held.tag,
            micro_usd=fee,
        )
        if await self._price.charge(due, made):
            if hold is None and held.payer:
                await counts.count(self._store, due.account, due.pool)
            self.ended.labels(held.engine, "made").inc()
        await self._price.forget(held.id, held.account)

    async def _without_hold(self, held: CloneRecord, terms: Terms | None) -> DurableHold:
        owner = await accounts.get(self._store, held.account)
        price = terms.prices.clone if held.payer and terms is not None else FREE
        cycle = cycle_at(0 if owner is None else owner.anchor, await self._store.now())
        return DurableHold(
            request=held.id, account=held.account, pool=cycle.start, allowance=price.micro, granted=0
        )

    async def release(self, held: CloneRecord) -> None:
        await counts.release(self._store, held.id)
        self._ledger.holds.drop(held.id, held.account)


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
