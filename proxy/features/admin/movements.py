"""Movements of credits that belong to no running request: grants, refunds, corrections.

Each is an entry with a reason, an actor and an act of the audit, all in one commit.
"""

from __future__ import annotations

from collections.abc import Callable

from policies.cycles import cycle_at
from policies.price import in_credits
from proxy.errors import Conflict, InvalidRequest, NotFound
from proxy.ledger.ledger import Ledger
from proxy.ledger.settlement import Reason, give_back
from proxy.storage import accounts, entries
from proxy.storage.accounts import Account
from proxy.storage.entries import GRANTED, Entry
from proxy.storage.rows import new_id
from proxy.storage.store import AlreadyExists

__all__ = ["Reason", "correct", "grant", "refund", "reset_cycle"]


async def grant(ledger: Ledger, account: str, micro: int, reference: str | None, reason: Reason) -> Entry:
    """Grant credits on top of every allowance. They stay until they are spent.

    A payment may be reported twice. If an entry has this reference, account and amount, it is returned.
    Raises Conflict if the reference was used for something else.
    """
    entry = await _make_entry(ledger, account, GRANTED, micro, "grant", reason, reference)
    try:
        await ledger.holds.write_entries([entry], reason.extra_statements)
    except AlreadyExists:
        assert reference is not None
        earlier = await entries.find_by_reference(ledger.store, reference)
        if earlier is None or (earlier.account, earlier.amount) != (account, micro):
            raise Conflict(
                f"The reference '{reference}' was used for another grant.", param="reference"
            ) from None
        return earlier
    return entry


async def correct(ledger: Ledger, account: str, micro: int, reason: Reason) -> Entry:
    entry = await _make_entry(ledger, account, GRANTED, micro, "correction", reason, None)
    await ledger.holds.write_entries([entry], reason.extra_statements)
    return entry


async def reset_cycle(ledger: Ledger, account: Account, reason_for: Callable[[int, str], Reason]) -> Entry:
    """Give back what an account spent of its allowance in this cycle, and return the correction.

    `reason_for` returns the reason for these micro-credits and this reference. The reference has the number
    of the reset, so that two resets at the same time become one. Raises Conflict if nothing was spent.
    """
    pool = cycle_at(account.anchor, await ledger.store.now()).start
    stem = f"reset:{account.id}:{pool}:"
    # The number is read before the sum: if another reset comes between the two, its reference is the same,
    # and this entry is refused.
    reference = f"{stem}{await entries.count_references(ledger.store, stem) + 1}"
    spent = -(await entries.read_pools(ledger.store, account.id)).get(pool, 0)
    if spent <= 0:
        raise Conflict(f"The account '{account.name}' has spent nothing of this cycle.", param="account")
    reason = reason_for(spent, reference)
    entry = await _make_entry(ledger, account.id, pool, spent, "correction", reason, reference)
    try:
        await ledger.holds.write_entries([entry], reason.extra_statements)
    except AlreadyExists:
        first = await entries.find_by_reference(ledger.store, reference)
        assert first is not None, "entries are never deleted"
        return first
    return entry


async def refund(ledger: Ledger, request: str, micro: int | None, reason: Reason) -> list[Entry]:
    """Give back the charge of a request, or `micro` credits of it, to the pools that paid it.

    If the cycle is over, the credits come back as granted ones. A request is refunded once. Raises NotFound,
    Conflict, InvalidRequest.
    """
    spent = await entries.read_spending(ledger.store, request)
    charged = -sum(entry.amount for entry in spent)
    if not spent:
        raise NotFound(
            f"Nothing was charged for '{request[:80]}'; see voxgate usage --wide.", param="request"
        )
    if micro is not None and not 0 <= micro <= charged:
        raise InvalidRequest(
            f"'credits' must be up to {in_credits(charged)}, which is what the request was charged.",
            param="credits",
        )
    account = await accounts.get(ledger.store, spent[0].account)
    assert account is not None, "accounts are closed, and never deleted"
    amount = charged if micro is None else micro
    try:
        return await give_back(ledger.holds, spent, amount, account.anchor, reason)
    except AlreadyExists:
        raise Conflict(f"The request {request} was refunded before.", param="request") from None


async def _make_entry(
    ledger: Ledger,
    account: str,
    pool: int,
    micro: int,
    kind: entries.Kind,
    reason: Reason,
    reference: str | None,
) -> Entry:
    return Entry(
        id=new_id("ent"),
        account=account,
        pool=pool,
        amount=micro,
        kind=kind,
        at=await ledger.store.now(),
        reference=reference,
        reason=reason.text,
        actor=reason.actor,
    )
