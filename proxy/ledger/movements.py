"""Movements that belong to no request under way: grants, refunds, corrections. Each is an entry with a
reason, an actor, and its place in the audit, all in one unit of work."""

from __future__ import annotations

from policies.price import in_credits
from proxy.errors import Conflict, InvalidRequest, NotFound
from proxy.ledger.ledger import Ledger
from proxy.ledger.refunds import Reason, give_back
from proxy.storage import accounts, entries
from proxy.storage.entries import GRANTED, Entry
from proxy.storage.rows import new_id
from proxy.storage.store import AlreadyExists

__all__ = ["Reason", "correct", "grant", "refund"]


async def grant(ledger: Ledger, account: str, micro: int, reference: str | None, told: Reason) -> Entry:
    """Credits on top of every allowance, which stay until they are spent. The same reference again, with the
    same account and amount, gives the entry that is there: payments are told more than once. Raises Conflict
    where it was used for something else."""
    entry = await _granted(ledger, account, micro, "grant", told, reference)
    try:
        await ledger.holds.move([entry], told.beside)
    except AlreadyExists:
        assert reference is not None
        earlier = await entries.of_reference(ledger.store, reference)
        if earlier is None or (earlier.account, earlier.amount) != (account, micro):
            raise Conflict(
                f"The reference '{reference}' was used for another grant.", param="reference"
            ) from None
        return earlier
    return entry


async def correct(ledger: Ledger, account: str, micro: int, told: Reason) -> Entry:
    """More or fewer granted credits, where something went wrong; below zero too."""
    entry = await _granted(ledger, account, micro, "correction", told, None)
    await ledger.holds.move([entry], told.beside)
    return entry


async def refund(ledger: Ledger, request: str, micro: int | None, told: Reason) -> list[Entry]:
    """What a request was charged, or a part of it, back to the pools that it came from; as granted credits
    where its cycle is over. A request is refunded once. Raises NotFound, Conflict, InvalidRequest."""
    spent = await entries.spent(ledger.store, request)
    charged = -sum(entry.amount for entry in spent)
    if not spent:
        raise NotFound(f"Nothing was charged for a request '{request[:80]}'.", param="request")
    if micro is not None and not 0 <= micro <= charged:
        raise InvalidRequest(
            f"'credits' must be up to {in_credits(charged)}, which is what the request was charged.",
            param="credits",
        )
    account = await accounts.get(ledger.store, spent[0].account)
    assert account is not None, "accounts are closed, and never deleted"
    amount = charged if micro is None else micro
    try:
        return await give_back(ledger.holds, spent, amount, account.anchor, told)
    except AlreadyExists:
        raise Conflict(f"The request {request} was refunded before.", param="request") from None


async def _granted(
    ledger: Ledger, account: str, micro: int, kind: entries.Kind, told: Reason, reference: str | None
) -> Entry:
    return Entry(
        id=new_id("ent"),
        account=account,
        pool=GRANTED,
        amount=micro,
        kind=kind,
        at=await ledger.store.now(),
        reference=reference,
        reason=told.reason,
        actor=told.actor,
    )
