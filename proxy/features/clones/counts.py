"""The clones that an account has had in a cycle.

The commit that stores the hold of a clone counts it, and the commit that releases the hold takes it back.
"""

from __future__ import annotations

import msgspec

from proxy.storage.durable_holds import DELETE, STORE_IF, DurableHold
from proxy.storage.rows import LAST_MOMENT
from proxy.storage.store import Params, Statement, Store

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


async def keep(store: Store, hold: DurableHold, fence: int, most: int | None) -> bool:
    """Store a hold that was taken for a clone under our lease, and count the clone.

    False: the account has had `most` clones in this cycle, or the clone's row is not ours any more.
    """
    values: Params = {**msgspec.structs.asdict(hold), "fence": fence, "most": most}
    _, stored = await store.write(Statement(_COUNT, values), Statement(_KEEP, values))
    return bool(stored)


async def count(store: Store, account: str, pool: int) -> None:
    """Count a clone without a hold and without a limit."""
    await store.write(Statement(_COUNT_ANYWAY, {"account": account, "pool": pool}))


async def release(store: Store, request: str) -> None:
    """End a hold for which nothing was made. Its clone does not count."""
    ended: Params = {"request": request}
    await store.write(Statement(_COUNT_LESS, ended), Statement(DELETE, ended))
