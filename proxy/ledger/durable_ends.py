"""The ends of holds that outlive their worker: written once, whoever learns first what they were for.

No client waits for them, so they wait longer for the database than an answer: about a minute.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from policies.plans import UNLIMITED
from policies.plans import terms as terms_of
from policies.quota import split_charge
from proxy.ledger.holds import HoldRequest
from proxy.ledger.ledger import Ledger
from proxy.ledger.settlement import End, Settlement
from proxy.storage import durable_holds, entries, usage
from proxy.storage.costs import Cost
from proxy.storage.durable_holds import JOB_KEY, DurableHold
from proxy.storage.entries import GRANTED
from proxy.storage.store import StorageFailed, StorageUnreachable, until_written
from proxy.storage.usage import UsageRow

_TRIES = 10
_OF_NOBODY = terms_of(UNLIMITED)
"""The terms of a settlement, which asks no limit any more."""


class DurableEnds:
    """Writes the ends of durable holds."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def __repr__(self) -> str:
        return f"<DurableEnds of {self._ledger!r}>"

    async def settle(self, row: UsageRow, hold: DurableHold, costs: Sequence[Cost] = ()) -> None:
        """Charge what the row of usage says out of a hold, in the cycle that it was held in. It is dated as
        the row is.

        Raises StorageFailed, and then it is written later.
        """
        split = split_charge(row.credits, hold.split)
        pools = ((hold.pool, split.allowance), (GRANTED, split.granted))
        spent = [
            entries.spend(row.id, row.account, pool, amount, at=row.started, actor=row.key)
            for pool, amount in pools
            if amount
        ]
        await self._write(End("finished", row, spent, list(costs)))

    async def forget(self, request: str, account: str) -> None:
        """End a hold that was settled, or that owes nothing."""
        await durable_holds.forget(self._ledger.store, request)
        self._ledger.holds.drop(request, account)

    async def _write(self, end: End) -> None:
        request = HoldRequest(
            request_id=end.usage.id,
            account=end.usage.account,
            key=JOB_KEY,
            anchor=0,
            terms=_OF_NOBODY,
            amount=end.usage.credits,
        )
        settlement = Settlement(self._ledger.holds, request)
        is_written = False
        try:
            await until_written(partial(settlement.write, end), _TRIES)
            is_written = True
        except StorageUnreachable:
            raise
        except StorageFailed:
            if not await usage.is_there(self._ledger.store, end.usage.id):
                raise
            # Another server has seen the same, and was faster.
            settlement.leave()
            is_written = True
        finally:
            if not is_written:
                settlement.write_later(end)
