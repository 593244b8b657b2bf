"""Counts the clones of an account in a cycle of its plan.

The commit that stores the hold of a clone counts it. The commit that releases the hold subtracts it again.
"""

from __future__ import annotations

import msgspec

from proxy.storage.durable_holds import DELETE, STORE_IF, DurableHold
from proxy.storage.rows import LAST_MOMENT
from proxy.storage.store import Params, Statement, Store

_IS_OPEN = "id = :request AND fence = :fence AND state IN ('wanted', 'making')"
# The first of two workers locks the row of the cycle, so the second one sees the first one's count. `last` is
# the clone that was counted last.
_COUNT = f"""
INSERT INTO clone_counts (account, cycle, used, last)
SELECT CAST(:account AS TEXT), CAST(:pool AS BIGINT), 1, CAST(:request AS TEXT)
WHERE (CAST(:most AS BIGINT) IS NULL OR CAST(:most AS BIGINT) > 0)
    AND EXISTS (SELECT 1 FROM bindings WHERE {_IS_OPEN})
ON CONFLICT (account, cycle) DO UPDATE SET used = clone_counts.used + 1, last = excluded.last
WHERE CAST(:most AS BIGINT) IS NULL OR clone_counts.used < CAST(:most AS BIGINT)
"""
_IS_COUNTED = "SELECT 1 FROM clone_counts WHERE account = :account AND cycle = :pool AND last = :request"
_KEEP = STORE_IF.format(only_if=f"EXISTS ({_IS_COUNTED})")
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


async def store_hold(store: Store, hold: DurableHold, fence: int, most: int | None) -> bool:
    """Store a clone's hold, and count the clone. `fence` is that of the worker's lease.

    False: the account has had `most` clones in this cycle, or the worker has lost the lease.
    """
    values: Params = {**msgspec.structs.asdict(hold), "fence": fence, "most": most}
    _, stored = await store.write(Statement(_COUNT, values), Statement(_KEEP, values))
    return bool(stored)


async def count_clone(store: Store, account: str, pool: int) -> None:
    """Count a clone without a hold and without a limit."""
    await store.write(Statement(_COUNT_ANYWAY, {"account": account, "pool": pool}))


async def release_hold(store: Store, request: str) -> None:
    """Delete the hold of a clone that was not made, and subtract this clone."""
    ended: Params = {"request": request}
    await store.write(Statement(_COUNT_LESS, ended), Statement(DELETE, ended))
