"""What a request was charged, given back: the one way for it, whoever wants it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from policies.cycles import Cycle, cycle_at
from proxy.ledger.holds import Holds
from proxy.storage import entries, usage
from proxy.storage.entries import GRANTED, Entry
from proxy.storage.store import Statement


class Reason(msgspec.Struct, frozen=True):
    """By whom and why; `beside` is written in the same unit of work (the audit)."""

    actor: str
    reason: str = ""
    beside: Sequence[Statement] = ()


async def give_back(
    holds: Holds, spent: Sequence[Entry], micro: int, anchor: int, told: Reason
) -> list[Entry]:
    """Of what one request spent, to the pools that it came from: what was spent last comes back first. Raises
    AlreadyExists where it was refunded before."""
    now = await holds.store.now()
    back = _entries(spent, micro, cycle_at(anchor, now), now, told)
    shown = usage.refunded(spent[0].request or "", micro)
    # In the order of settlements: two that lock the same balances the other way round block each other.
    await holds.move(back[::-1], (shown, *told.beside))
    return [entry for entry in back if entry.amount]


def _entries(spent: Sequence[Entry], micro: int, cycle: Cycle, now: int, told: Reason) -> list[Entry]:
    """For each pool one, even of nothing: their ids are what makes a second refund impossible."""
    back: list[Entry] = []
    left = micro
    for entry in reversed(spent):
        amount = min(left, -entry.amount)
        left -= amount
        back.append(
            Entry(
                id=entries.refund_id(entry.id),
                account=entry.account,
                pool=_pool(entry, cycle),
                amount=amount,
                kind="refund",
                at=now,
                request=entry.request,
                reason=told.reason,
                actor=told.actor,
            )
        )
    return back


def _pool(spent: Entry, cycle: Cycle) -> int:
    """Nobody can spend the allowance of a cycle that is over, so what comes back of that one is granted."""
    return spent.pool if spent.pool == cycle.start else GRANTED
