"""Counts of the requests that were refused before they cost anything.

There is one count for each day, account, key, route and reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from proxy.storage.store import Params, Row, Statement, Store
from proxy.storage.usage import Period

DAY_US = 86_400_000_000
"""In microseconds, like all times in the database."""

_ADD = """
INSERT INTO refusals (account, key, at, route, status, code, count, last)
VALUES (:account, :key, :at, :route, :status, :code, :count, :last)
ON CONFLICT (at, account, key, route, status, code) DO UPDATE
SET count = refusals.count + excluded.count, last = excluded.last
"""
_IN_PERIOD = "at >= :since AND at < :until AND (CAST(:account AS TEXT) IS NULL OR account = :account)"
# The sums are cast, because a sum of bigints is a numeric in PostgreSQL.
_BY_REASON = f"""
SELECT CAST(status AS TEXT) || ' ' || code AS name, CAST(sum(count) AS BIGINT) AS requests
FROM refusals WHERE {_IN_PERIOD} GROUP BY status, code ORDER BY requests DESC, name LIMIT :limit
"""
_TOTAL = f"SELECT CAST(coalesce(sum(count), 0) AS BIGINT) AS requests FROM refusals WHERE {_IN_PERIOD}"
_DELETE = "DELETE FROM refusals WHERE at < :before"


class RefusalKind(NamedTuple):
    """Refusals of one day with the same values here are counted together."""

    account: str
    key: str
    route: str
    status: int
    code: str


async def add(store: Store, counts: Mapping[RefusalKind, int], now: int) -> None:
    """Add refusals to the counts of this day, in one commit: up to `MOST_ROWS` kinds."""
    times = {"at": now // DAY_US * DAY_US, "last": now}
    # All workers write the rows in one order, so that two of them cannot deadlock.
    rows = ({**kind._asdict(), **times, "count": count} for kind, count in sorted(counts.items()))
    await store.write(*(Statement(_ADD, row) for row in rows))


async def count_by_reason(store: Store, period: Period, most: int) -> list[Row]:
    """Count refusals by status and code, the largest counts first.

    A day that is only partly in the period is counted whole.
    """
    return await store.read_long(_BY_REASON, {**_day_parameters(period), "limit": most})


async def count_all(store: Store, period: Period) -> int:
    """Count all refusals of a period, like `count_by_reason`."""
    (row,) = await store.read_long(_TOTAL, _day_parameters(period))
    return int(row["requests"])


async def delete(store: Store, before: int) -> None:
    await store.write(Statement(_DELETE, {"before": before}))


def _day_parameters(period: Period) -> Params:
    return {"account": period.account, "since": period.since // DAY_US * DAY_US, "until": period.until}
