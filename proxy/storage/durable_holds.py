"""Holds that outlive their worker, as rows in both databases: for a clone or a training, until its end is
known.

Such a hold has the id of its charge as its request, and no key, so that it is no stream of its plan. The
commit that stores the hold of a clone counts the clone in its cycle, and the commit that releases it takes it
back.
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
# One read, so that all values are from one moment.
_BOOKS = f"""
SELECT '' AS request, account, pool, amount AS allowance, 0 AS granted FROM balances WHERE account = :account
UNION ALL
SELECT {_COLUMNS} FROM holds WHERE account = :account AND key = ''
"""
_IS_OPEN = "id = :request AND fence = :fence AND state IN ('wanted', 'making')"
# The row of the cycle is locked by the first of two workers, and the second one sees the first one's count.
_COUNT = f"""
INSERT INTO clone_counts (account, cycle, used, last)
SELECT CAST(:account AS TEXT), CAST(:pool AS BIGINT), 1, CAST(:request AS TEXT)
WHERE (CAST(:most AS BIGINT) IS NULL OR CAST(:most AS BIGINT) > 0)
    AND EXISTS (SELECT 1 FROM bindings WHERE {_IS_OPEN})
ON CONFLICT (account, cycle) DO UPDATE SET used = clone_counts.used + 1, last = excluded.last
WHERE CAST(:most AS BIGINT) IS NULL OR clone_counts.used < CAST(:most AS BIGINT)
"""
# PostgreSQL has the row of the take already, which would expire.
_KEEP_IF = f"""
INSERT INTO holds (request, account, key, worker, pool, allowance, granted, expires)
SELECT CAST(:request AS TEXT), CAST(:account AS TEXT), '', '', CAST(:pool AS BIGINT),
    CAST(:allowance AS BIGINT), CAST(:granted AS BIGINT), {LAST_MOMENT}
WHERE {{only_if}}
ON CONFLICT (request) DO UPDATE SET expires = excluded.expires
RETURNING request
"""
_IS_COUNTED = "SELECT 1 FROM clone_counts WHERE account = :account AND cycle = :pool AND last = :request"
_KEEP = _KEEP_IF.format(only_if=f"EXISTS ({_IS_COUNTED})")
_COUNT_ANYWAY = """
INSERT INTO clone_counts (account, cycle, used, last) VALUES (:account, :pool, 1, '')
ON CONFLICT (account, cycle) DO UPDATE SET used = clone_counts.used + 1
"""
_COUNT_LESS = f"""
UPDATE clone_counts SET used = used - 1, last = ''
WHERE EXISTS (
    SELECT 1 FROM holds WHERE request = :request AND expires = {LAST_MOMENT}
        AND holds.account = clone_counts.account AND holds.pool = clone_counts.cycle
)
"""
_DELETE = "DELETE FROM holds WHERE request = :request AND key = ''"
_USED = "SELECT used FROM clone_counts WHERE account = :account AND cycle = :cycle"


class DurableHold(msgspec.Struct, frozen=True, kw_only=True):
    """A hold in the cycle that begins at `pool`."""

    request: str
    account: str
    pool: int
    allowance: int
    granted: int

    @property
    def split(self) -> Split:
        return Split(self.allowance, self.granted)


async def keep(store: Store, hold: DurableHold, fence: int, most: int | None) -> bool:
    """Store a hold that was taken for a clone under our lease, and count the clone.

    False: the account has had `most` clones in this cycle, or the clone's row is not ours any more.
    """
    values: Params = {**msgspec.structs.asdict(hold), "fence": fence, "most": most}
    _, stored = await store.write(Statement(_COUNT, values), Statement(_KEEP, values))
    return bool(stored)


def store_statement(hold: DurableHold, only_if: Condition) -> Statement:
    """Return the statement that stores a taken hold, in the commit of its clone or training."""
    values: Params = {**only_if.params, **msgspec.structs.asdict(hold)}
    return Statement(_KEEP_IF.format(only_if=only_if.sql), values)


async def count(store: Store, account: str, pool: int) -> None:
    """Count a clone without a hold and without a limit."""
    await store.write(Statement(_COUNT_ANYWAY, {"account": account, "pool": pool}))


async def release(store: Store, request: str) -> None:
    """End a hold for which nothing was made. Its clone does not count."""
    ended: Params = {"request": request}
    await store.write(Statement(_COUNT_LESS, ended), Statement(_DELETE, ended))


async def forget(store: Store, request: str) -> None:
    """End a hold that was settled. On PostgreSQL its settlement has ended it already."""
    await store.write(Statement(_DELETE, {"request": request}))


async def get(store: Store, request: str) -> DurableHold | None:
    rows = await store.read(_GET, {"request": request})
    return msgspec.convert(dict(rows[0]), DurableHold) if rows else None


async def books(store: Store, account: str) -> tuple[dict[int, int], list[DurableHold]]:
    rows = await store.read(_BOOKS, {"account": account})
    pools = {row["pool"]: row["allowance"] for row in rows if not row["request"]}
    return pools, [msgspec.convert(dict(row), DurableHold) for row in rows if row["request"]]


async def clones_used(store: Store, account: str, cycle: int) -> int:
    """Count the clones of an account in the cycle that began at `cycle`, those under way too."""
    rows = await store.read(_USED, {"account": account, "cycle": cycle})
    return int(rows[0]["used"]) if rows else 0
