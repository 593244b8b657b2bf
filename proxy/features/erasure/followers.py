"""Who else on this database forgets what is erased, and what it has forgotten.

All times are of the database's own clock: who has looked since a commit has seen it.
"""

from __future__ import annotations

from policies.wishes import SECOND
from proxy.storage.store import Statement, Store

LIVES_S = 15.0
"""A process that has not looked for so long is dead, or cannot reach the database: nobody waits for it."""

_LEFT_US = 86_400 * SECOND
_NOW = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT) AS now"
_PUT = """
INSERT INTO followers (id, life, seen, looked)
VALUES (:id, :life, CAST(:seen AS BIGINT), CAST(:looked AS BIGINT))
ON CONFLICT (id) DO UPDATE SET seen = excluded.seen, looked = excluded.looked
"""
_BEHIND = """
SELECT id FROM followers WHERE life <> :life AND looked >= :alive AND seen <= :moment LIMIT 1
"""


async def exact_now(store: Store) -> int:
    """Return the time as the database itself says it now, where it is shared: `Store.now` counts on."""
    if not store.is_shared:
        return await store.now()
    (row,) = await store.read(_NOW)
    return int(row["now"])


async def put(store: Store, id_: str, life: str, seen: int, looked: int) -> None:
    """Say what a process has forgotten. Those that are long dead go."""
    await store.write(
        Statement(_PUT, {"id": id_, "life": life, "seen": seen, "looked": looked}),
        Statement("DELETE FROM followers WHERE looked < :before", {"before": looked - _LEFT_US}),
    )


async def remove(store: Store, id_: str) -> None:
    await store.write(Statement("DELETE FROM followers WHERE id = :id", {"id": id_}))


async def are_behind(store: Store, life: str, moment: int) -> bool:
    """Tell whether a living process of another life may not have forgotten what was erased by then."""
    alive = await exact_now(store) - round(LIVES_S * SECOND)
    return bool(await store.read(_BEHIND, {"life": life, "moment": moment, "alive": alive}))
