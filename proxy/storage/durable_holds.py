"""Holds that outlive their worker, as rows in both databases: for a clone or a training, until its end is
known.

The request of such a hold is the id of its charge. It has no key, so that it does not count as a stream.
"""

from __future__ import annotations

import msgspec

from policies.admission import Split
from proxy.storage.rows import LAST_MOMENT
from proxy.storage.store import Condition, Params, Statement, Store

JOB_KEY = ""
"""The key of a job's hold."""

_COLUMNS = "request, account, pool, allowance, granted"
_GET = f"SELECT {_COLUMNS} FROM holds WHERE request = :request AND key = '' AND expires = {LAST_MOMENT}"
# One read, so that all values are from one moment. The row of a pool has no request.
_POOLS_AND_HOLDS = f"""
SELECT '' AS request, account, pool, amount AS allowance, 0 AS granted FROM balances WHERE account = :account
UNION ALL
SELECT {_COLUMNS} FROM holds WHERE account = :account AND key = ''
"""
# On PostgreSQL, the hold has a row since it was taken. That row would expire, so it gets the last moment.
STORE_IF = f"""
INSERT INTO holds (request, account, key, worker, pool, allowance, granted, expires)
SELECT CAST(:request AS TEXT), CAST(:account AS TEXT), '', '', CAST(:pool AS BIGINT),
    CAST(:allowance AS BIGINT), CAST(:granted AS BIGINT), {LAST_MOMENT}
WHERE {{only_if}}
ON CONFLICT (request) DO UPDATE SET expires = excluded.expires
RETURNING request
"""
DELETE = "DELETE FROM holds WHERE request = :request AND key = ''"
_USED = "SELECT used FROM clone_counts WHERE account = :account AND cycle = :cycle"


class DurableHold(msgspec.Struct, frozen=True, kw_only=True):
    """A hold. `allowance` is held of the cycle that begins at `pool`, `granted` of the granted credits."""

    request: str
    account: str
    pool: int
    allowance: int
    granted: int

    @property
    def split(self) -> Split:
        return Split(self.allowance, self.granted)


def store_statement(hold: DurableHold, only_if: Condition) -> Statement:
    """Return the statement that stores a taken hold, in the commit of its clone or training."""
    values: Params = {**only_if.params, **msgspec.structs.asdict(hold)}
    return Statement(STORE_IF.format(only_if=only_if.sql), values)


async def delete(store: Store, request: str) -> None:
    """Delete the row of a hold that was settled. On PostgreSQL, its settlement has deleted it already."""
    await store.write(Statement(DELETE, {"request": request}))


async def get(store: Store, request: str) -> DurableHold | None:
    rows = await store.read(_GET, {"request": request})
    return msgspec.convert(dict(rows[0]), DurableHold) if rows else None


async def read_pools_and_holds(store: Store, account: str) -> tuple[dict[int, int], list[DurableHold]]:
    """Return the amount of each pool of an account, and its durable holds."""
    rows = await store.read(_POOLS_AND_HOLDS, {"account": account})
    pools = {row["pool"]: row["allowance"] for row in rows if not row["request"]}
    return pools, [msgspec.convert(dict(row), DurableHold) for row in rows if row["request"]]


async def count_clones(store: Store, account: str, cycle: int) -> int:
    """Count the clones of an account in the cycle that began at `cycle`, with those under way."""
    rows = await store.read(_USED, {"account": account, "cycle": cycle})
    return int(rows[0]["used"]) if rows else 0
