"""The sums of many accounts in their cycles, by one query."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from proxy.storage.entries import GRANTED
from proxy.storage.store import Store

# Each is cast, because a sum of bigints is a numeric in PostgreSQL.
_SUMS = f"""
WITH cycles (account, start) AS (VALUES {{cycles}})
SELECT cycles.account,
    (SELECT CAST(coalesce(sum(samples * 1000 / sample_rate_hz), 0) AS BIGINT) FROM usage
        WHERE usage.account = cycles.account AND started >= cycles.start AND kind = 'speech') AS audio_ms,
    (SELECT CAST(coalesce(sum(micro_usd), 0) AS BIGINT) FROM costs
        WHERE costs.account = cycles.account AND at >= cycles.start) AS micro_usd,
    (SELECT CAST(coalesce(sum(-amount), 0) AS BIGINT) FROM balances
        WHERE balances.account = cycles.account AND pool = cycles.start) AS used,
    (SELECT CAST(coalesce(sum(amount), 0) AS BIGINT) FROM balances
        WHERE balances.account = cycles.account AND pool = {GRANTED}) AS granted
FROM cycles
"""


class CycleSums(msgspec.Struct, frozen=True):
    """The speech of a cycle, its costs, the micro-credits used of its allowance, and those of grants that are
    left."""

    account: str
    audio_ms: int
    micro_usd: int
    used: int
    granted: int


async def read_cycle_sums(store: Store, starts: Mapping[str, int]) -> dict[str, CycleSums]:
    """Return the sums of accounts since the starts of their cycles."""
    if not starts:
        return {}
    # Empty rows fill this up to a power of four, so that the database meets few texts of this query.
    filled = [*starts.items(), *[("", 0)] * (4 ** math.ceil(math.log(len(starts), 4)) - len(starts))]
    rows = [f"(CAST(:account_{n} AS TEXT), CAST(:start_{n} AS BIGINT))" for n in range(len(filled))]
    params: dict[str, str | int] = {f"account_{n}": account for n, (account, _) in enumerate(filled)}
    params |= {f"start_{n}": start for n, (_, start) in enumerate(filled)}
    found = await store.read_long(_SUMS.format(cycles=", ".join(rows)), params)
    return {row["account"]: msgspec.convert(row, CycleSums) for row in found}
