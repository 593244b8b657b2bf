"""Entries are the movements of credits, written once and never changed. Balances are their sums."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from proxy.storage.rows import LAST_MOMENT, PagePlace, columns, insert, insert_sql, read_known
from proxy.storage.store import Params, Statement, Store

Kind = Literal["spend", "grant", "refund", "correction"]

GRANTED = 0
"""The pool of granted credits. Any other pool is the start of a cycle: the spending from its allowance."""
_ANY_CYCLE = 1
"""Stands for the start of any cycle in `_spend_id`, whose result is the same for all cycles."""
RESERVED_REFERENCES = ("pay:", "carry:", "reset:")
"""The beginnings of the server's own references, which no operator may use."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One movement. `amount` is in micro-credits, below zero for spending.

    A `reference` is the operator's own word for a payment, and can be used once. `actor` is the id of a key,
    `control`, or `voxgate` for a movement by the server itself.
    """

    id: str
    account: str
    pool: int
    amount: int
    kind: Kind
    at: int
    request: str | None = None
    reference: str | None = None
    reason: str = ""
    actor: str = ""


_COLUMNS = columns(Entry)
_INSERT = insert_sql("entries", Entry)
_MOVE = """
INSERT INTO balances (account, pool, amount) VALUES (:account, :pool, :amount)
ON CONFLICT (account, pool) DO UPDATE SET amount = balances.amount + excluded.amount
"""
_POOLS = "SELECT pool, amount FROM balances WHERE account = :account"
_OF_ACCOUNT = f"""
SELECT {_COLUMNS} FROM entries
WHERE account = :account AND amount <> 0 AND (at < :at OR (at = :at AND id < :id))
ORDER BY at DESC, id DESC LIMIT :limit
"""
_PLACE_OF_ACCOUNT = "SELECT at FROM entries WHERE id = :id AND account = :account"
_OF_REQUEST = f"""
SELECT {_COLUMNS} FROM entries WHERE id IN (:allowance, :granted, :allowance_back, :granted_back)
ORDER BY id
"""
_OF_ID = f"SELECT {_COLUMNS} FROM entries WHERE id = :id"
_OF_REFERENCE = f"SELECT {_COLUMNS} FROM entries WHERE reference = :reference"


def make_spend_entry(request: str, account: str, pool: int, amount: int, *, at: int, actor: str) -> Entry:
    """Make the entry by which a request pays from a pool. Its id follows from both, so there can be only
    one."""
    return Entry(
        id=_spend_id(request, pool),
        account=account,
        pool=pool,
        amount=-amount,
        kind="spend",
        at=at,
        request=request,
        actor=actor,
    )


def refund_id(spend_id: str) -> str:
    """Return the id of an entry's refund. It follows from the entry's id, so there can be only one."""
    return f"{spend_id}:refund"


def insert_statements(entry: Entry) -> tuple[Statement, Statement]:
    """Return the statements that write an entry and change its balance, for one commit.

    A second entry with its id or reference makes the whole unit fail with AlreadyExists, so that nothing is
    counted twice.
    """
    moved: Params = {"account": entry.account, "pool": entry.pool, "amount": entry.amount}
    return insert(_INSERT, entry), Statement(_MOVE, moved)


def insert_all_statements(new_entries: Iterable[Entry]) -> list[Statement]:
    return [statement for entry in new_entries for statement in insert_statements(entry)]


async def read_pools(store: Store, account: str) -> dict[int, int]:
    return {row["pool"]: row["amount"] for row in await store.read(_POOLS, {"account": account})}


async def list_of_account(
    store: Store, account: str, *, at: int = LAST_MOMENT, id_: str = "", limit: int
) -> list[Entry]:
    """List entries of an account behind this moment and id, the newest first.

    Refunds of nothing are left out: they only make a second refund impossible.
    """
    place: Params = {"account": account, "at": at, "id": id_, "limit": limit}
    return read_known(await store.read(_OF_ACCOUNT, place), Entry)


async def find_place(store: Store, id_: str, account: str) -> PagePlace | None:
    """Find the place of an entry of this account. Entries of other accounts are not found."""
    rows = await store.read(_PLACE_OF_ACCOUNT, {"id": id_, "account": account})
    return PagePlace(rows[0]["at"], id_) if rows else None


async def read_of_request(store: Store, request: str) -> list[Entry]:
    """Read the spending and the refund of a request, by the ids of the entries.

    An index by request would cost a write for each request, and would hardly be read.
    """
    ids: Params = {
        "allowance": _spend_id(request, _ANY_CYCLE),
        "granted": _spend_id(request, GRANTED),
        "allowance_back": refund_id(_spend_id(request, _ANY_CYCLE)),
        "granted_back": refund_id(_spend_id(request, GRANTED)),
    }
    return msgspec.convert(await store.read(_OF_REQUEST, ids), list[Entry])


async def read_spending(store: Store, request: str) -> list[Entry]:
    """Read the charge of the request by pool, the cycle's allowance first."""
    return [entry for entry in await read_of_request(store, request) if entry.kind == "spend"]


async def are_stored(store: Store, expected: Sequence[Entry]) -> bool:
    """Tell whether exactly these entries are stored."""
    for entry in expected:
        rows = await store.read(_OF_ID, {"id": entry.id})
        if msgspec.convert(rows, list[Entry]) != [entry]:
            return False
    return True


async def find_by_reference(store: Store, reference: str) -> Entry | None:
    rows = await store.read(_OF_REFERENCE, {"reference": reference})
    return msgspec.convert(rows[0], Entry) if rows else None


async def count_references(store: Store, stem: str) -> int:
    """Count the entries with the references `stem` + 1, 2, … up to the first one that is free."""
    number = 0
    while await find_by_reference(store, f"{stem}{number + 1}") is not None:
        number += 1
    return number


def _spend_id(request: str, pool: int) -> str:
    return f"{request}:{'granted' if pool == GRANTED else 'allowance'}"
