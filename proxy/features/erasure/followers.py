"""Followers as rows: the processes on one database that forget what others erase, and how far each is."""

from __future__ import annotations

from policies.tasks import SECOND_US
from proxy.storage.store import Statement, Store

LIVES_S = 15.0
"""After this time without a look, a process is dead or cannot reach the database. No erasure waits for it."""
CLUSTER_LIVES_S = 75.0
"""The same for a gateway with hosts on other machines. It has not noted its last look for up to 5 s, ends its
Watches 40 s after that look, and its hosts forget within 20 s. Its row has a later `looked`, so that versions
that do not know of clusters wait as long."""

_LEFT_US = 86_400 * SECOND_US
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
    """Return the time by the clock of a shared database. `Store.now` extrapolates from an earlier answer."""
    if not store.is_shared:
        return await store.now()
    (row,) = await store.read(_NOW)
    return int(row["now"])


async def put_follower(
    store: Store, id_: str, life: str, seen: int, looked: int, *, has_hosts: bool = False
) -> None:
    """Record up to which erasure a process has forgotten, and delete the rows of dead processes. `has_hosts`:
    it is a gateway with hosts on other machines."""
    lives_on = round((CLUSTER_LIVES_S - LIVES_S) * SECOND_US) if has_hosts else 0
    await store.write(
        Statement(_PUT, {"id": id_, "life": life, "seen": seen, "looked": looked + lives_on}),
        Statement("DELETE FROM followers WHERE looked < :before", {"before": looked - _LEFT_US}),
    )


async def remove_follower(store: Store, id_: str) -> None:
    await store.write(Statement("DELETE FROM followers WHERE id = :id", {"id": id_}))


async def has_followers_behind(store: Store, life: str, moment: int) -> bool:
    """Tell whether a living process of another server may still use data that was erased before `moment`.
    `life` is the id of our start."""
    alive = await exact_now(store) - round(LIVES_S * SECOND_US)
    return bool(await store.read(_BEHIND, {"life": life, "moment": moment, "alive": alive}))
