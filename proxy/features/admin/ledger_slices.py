"""Balances and the sums of their entries, read account by account and in slices while others write."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator

import msgspec

from proxy.storage.rows import PagePlace
from proxy.storage.store import Params, Store

SETTLED_US = 2 * 24 * 60 * 60 * 1_000_000
"""No entry older than this is added any more. An entry has the time at which its request began."""

_NEXT = """
SELECT min(account) AS account FROM (
    SELECT min(account) AS account FROM balances WHERE account > :account
    UNION ALL
    SELECT min(account) AS account FROM entries WHERE account > :account
) AS both_books
"""
_BETWEEN = """
account = :account AND at >= :at AND (at > :at OR id > :id)
AND at <= :upto_at AND (at < :upto_at OR id <= :upto_id)
"""
_PLACE = f"SELECT at, id FROM entries WHERE {_BETWEEN} ORDER BY at, id LIMIT 1 OFFSET :most"
# Sums are cast, because PostgreSQL sums bigints to a numeric.
_SUMS = f"SELECT pool, CAST(sum(amount) AS BIGINT) AS amount FROM entries WHERE {_BETWEEN} GROUP BY pool"
_BALANCES = """
SELECT pool, CAST(sum(balance) AS BIGINT) AS balance, CAST(sum(fresh) AS BIGINT) AS fresh, sum(kept) AS kept
FROM (
    SELECT pool, amount AS balance, 0 AS fresh, 1 AS kept FROM balances WHERE account = :account
    UNION ALL
    SELECT pool, 0, amount, 0 FROM entries WHERE account = :account AND at >= :since
) AS both_books
GROUP BY pool
"""


class PoolBalance(msgspec.Struct, frozen=True):
    """One pool of an account. Without a row in `read_balances` its balance is 0."""

    pool: int
    balance: int
    sum_of_entries: int
    has_balance_row: bool


async def list_accounts(store: Store) -> AsyncIterator[str]:
    """List the accounts that have a balance or an entry."""
    account = ""
    while True:
        (row,) = await store.read_long(_NEXT, {"account": account})
        if row["account"] is None:
            return
        account = row["account"]
        yield account


async def read_balances(store: Store, account: str, now: int, most: int) -> list[PoolBalance]:
    """Read each pool of an account. No query reads more than `most` of its settled entries."""
    since = now - SETTLED_US
    settled = await _sum_settled(store, account, since, most)
    rows = await store.read_long(_BALANCES, {"account": account, "since": since})
    found = {row["pool"]: row for row in rows}
    return [
        PoolBalance(
            pool,
            found[pool]["balance"] if pool in found else 0,
            settled[pool] + (found[pool]["fresh"] if pool in found else 0),
            pool in found and found[pool]["kept"] > 0,
        )
        for pool in sorted({*found, *settled})
    ]


async def _sum_settled(store: Store, account: str, until: int, most: int) -> Counter[int]:
    """Sum each pool's entries from before `until`."""
    sums: Counter[int] = Counter()
    at: PagePlace | None = PagePlace(-(2**63), "")  # before the first entry
    while at is not None:
        end = await _find_slice_end(store, account, at, PagePlace(until, ""), most)
        bounds = _bounds(account, at, end or PagePlace(until, ""))
        for row in await store.read_long(_SUMS, bounds):
            sums[row["pool"]] += row["amount"]
        at = end
    return sums


async def _find_slice_end(
    store: Store, account: str, at: PagePlace, until: PagePlace, most: int
) -> PagePlace | None:
    """Find the last entry of a slice. None means that the rest fits into one slice."""
    rows = await store.read_long(_PLACE, {**_bounds(account, at, until), "most": most - 1})
    return PagePlace(rows[0]["at"], rows[0]["id"]) if rows else None


def _bounds(account: str, at: PagePlace, upto: PagePlace) -> Params:
    return {"account": account, "at": at.at, "id": at.id, "upto_at": upto.at, "upto_id": upto.id}
