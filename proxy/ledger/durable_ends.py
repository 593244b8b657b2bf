"""Bills at a fixed price, for clones and trainings.

The hold is a row that outlives its worker. The bill has the id of the hold, so that two workers cannot write
two bills. No client waits for it, so it may wait about a minute for the database.
"""

from __future__ import annotations

from functools import partial

import msgspec

from policies.plans import UNLIMITED, build_terms
from policies.price import Operation
from proxy.ledger.charges import make_spend_entries
from proxy.ledger.hold import Hold
from proxy.ledger.holds import HoldRequest, Payer
from proxy.ledger.ledger import Ledger
from proxy.ledger.settlement import End, Settlement
from proxy.storage import durable_holds, usage
from proxy.storage.costs import Cost
from proxy.storage.durable_holds import JOB_KEY, DurableHold
from proxy.storage.store import until_written
from proxy.storage.usage import UsageRow

_TRIES = 10
_NO_LIMITS = build_terms(UNLIMITED)
"""The terms for a settlement, which checks no limits."""


class Purchase(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of a bill. `payer` is the key that requested the work, `micro_usd` the provider's price.

    If the account ended the work early, it pays `part_micro` micro-credits. Otherwise it pays the
    hold.
    """

    payer: str
    engine: str
    model: str
    voice: str
    job: str = ""
    tag: str = ""
    micro_usd: int | None = None
    part_micro: int | None = None


class FixedPrice:
    """The bills of one kind, in one worker."""

    def __init__(self, ledger: Ledger, kind: Operation) -> None:
        self._ledger = ledger
        self._kind = kind

    async def hold(self, id_: str, payer: Payer, amount: int, job: str = "") -> Hold:
        """Hold the price. The hold is no stream, so it takes none from speech. Raises QuotaExceeded."""
        fields = msgspec.structs.asdict(payer)
        return await self._ledger.hold(
            HoldRequest(**fields, request_id=id_, amount=amount, is_stream=False, job=job)
        )

    def durable(self, hold: Hold) -> DurableHold:
        """Return the row that stores a hold."""
        request, held = hold.hold_request, hold.held
        return DurableHold(
            request=request.request_id,
            account=request.account,
            pool=held.cycle.start,
            allowance=held.split.allowance,
            granted=held.split.granted,
        )

    def keep_or_drop(self, hold: Hold, *, is_stored: bool) -> None:
        """Keep a hold that was stored as a row, or end it."""
        request = hold.hold_request
        if is_stored:
            self._ledger.holds.mark_durable(request.request_id)
        else:
            self._ledger.holds.drop(request.request_id, request.account)

    async def charge(self, hold: DurableHold, made: Purchase) -> bool:
        """Charge a hold, in the cycle in which it was taken. Return False if it was charged before.

        If it raises StorageFailed, the charge is written later.
        """
        if await usage.is_stored(self._ledger.store, hold.request):
            return False
        price = hold.split.amount
        row = UsageRow(
            id=hold.request,
            account=hold.account,
            key=made.payer,
            started=await self._ledger.store.now(),
            engine=made.engine,
            model=made.model,
            voice=made.voice,
            language="",
            characters=0,
            samples=0,
            sample_rate_hz=24_000,
            format="",
            outcome="finished" if made.part_micro is None else "left",
            credits=price if made.part_micro is None else made.part_micro,
            price_micro=price,
            micro_usd=made.micro_usd or 0,
            kind=self._kind,
            job=made.job,
            tag=made.tag,
        )
        await self._write(_end(row, hold, has_cost=made.micro_usd is not None))
        return True

    async def forget(self, request: str, account: str) -> None:
        await durable_holds.delete(self._ledger.store, request)
        self._ledger.holds.drop(request, account)

    async def _write(self, end: End) -> None:
        request = HoldRequest(
            request_id=end.usage.id,
            account=end.usage.account,
            key=JOB_KEY,
            anchor=0,
            terms=_NO_LIMITS,
            amount=end.usage.credits,
        )
        settlement = Settlement(self._ledger.holds, request)
        is_written = False
        try:
            await until_written(partial(settlement.write_once, end), _TRIES)
            is_written = True
        finally:
            if not is_written:
                settlement.write_later(end)


def _end(row: UsageRow, hold: DurableHold, *, has_cost: bool) -> End:
    paid = make_spend_entries(row, hold.pool, hold.split)
    cost = Cost(
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
    return End("finished", row, paid, [cost] if has_cost else [])
