"""Refunds: the one way to give back what a request was charged."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from policies.cycles import Cycle, cycle_at
from proxy.ledger.holds import Holds
from proxy.storage import entries, usage
from proxy.storage.entries import GRANTED, Entry
from proxy.storage.store import Statement


class Reason(msgspec.Struct, frozen=True):
    """Who moves credits, and why. The extra statements are written in the same unit of work: the audit."""

    actor: str
    text: str = ""
    extra_statements: Sequence[Statement] = ()


async def give_back(
    holds: Holds, spent: Sequence[Entry], micro: int, anchor: int, reason: Reason
) -> list[Entry]:
    """Give back what one request spent, or a part, to the pools that it came from.

    What was spent last comes back first. Raises AlreadyExists when the request was refunded before.
    """
    now = await holds.store.now()
    back = _entries(spent, micro, cycle_at(anchor, now), now, reason)
    shown = usage.refund_statement(spent[0].request or "", micro)
    # In the order of settlements. In the other order, a refund and a settlement would block each other.
    await holds.move(back[::-1], (shown, *reason.extra_statements))
    return [entry for entry in back if entry.amount]


def _entries(spent: Sequence[Entry], micro: int, cycle: Cycle, now: int, reason: Reason) -> list[Entry]:
    """Make one entry for each pool, even of nothing: their ids make a second refund impossible."""
    back: list[Entry] = []
    left = micro
    for entry in reversed(spent):
        amount = min(left, -entry.amount)
        left -= amount
        back.append(
            Entry(
                id=entries.refund_id(entry.id),
                account=entry.account,
                # The allowance of a cycle that is over cannot be spent, so it comes back as granted credits.
                pool=entry.pool if entry.pool == cycle.start else GRANTED,
                amount=amount,
                kind="refund",
                at=now,
                request=entry.request,
                reason=reason.text,
                actor=reason.actor,
            )
        )
    return back
