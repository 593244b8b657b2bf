"""Costs: what providers charge for each attempt. They change no balance. Failed requests may have costs,
too."""

from __future__ import annotations

import msgspec

from proxy.storage.rows import insert, insert_sql
from proxy.storage.store import Statement, Store


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """The cost of one attempt. `units` is the provider's count, `micro_usd` its price."""

    request: str
    attempt: int
    account: str
    at: int
    engine: str
    model: str
    characters: int
    audio_ms: int
    units: float | None
    micro_usd: int


_INSERT = insert_sql("costs", Cost)
_OF_ENGINE = "SELECT coalesce(sum(micro_usd), 0) AS total FROM costs WHERE engine = :owner AND at >= :since"
_OF_ACCOUNT = "SELECT coalesce(sum(micro_usd), 0) AS total FROM costs WHERE account = :owner AND at >= :since"


def insert_statement(cost: Cost) -> Statement:
    return insert(_INSERT, cost)


async def sum_costs(store: Store, owner: str, since: int, *, is_account: bool) -> int:
    """Sum the costs of an engine or an account since then, in millionths of a dollar."""
    (row,) = await store.read(_OF_ACCOUNT if is_account else _OF_ENGINE, {"owner": owner, "since": since})
    return int(row["total"])
