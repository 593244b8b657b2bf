"""Requests that were refused before they cost anything, as sums: of a day, an account, a key and a reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from proxy.storage.store import Params, Row, Statement, Store
from proxy.storage.usage import Period

DAY = 86_400_000_000

_ADD = """
INSERT INTO refusals (account, key, at, route, status, code, count, last)
VALUES (:account, :key, :at, :route, :status, :code, :count, :last)
ON CONFLICT (at, account, key, route, status, code) DO UPDATE
SET count = refusals.count + excluded.count, last = excluded.last
"""
_IN_PERIOD = "at >= :since AND at < :until AND (CAST(:account AS TEXT) IS NULL OR account = :account)"
# Cast, because PostgreSQL sums bigints to a numeric.
_BY_REASON = f"""
SELECT CAST(status AS TEXT) || ' ' || code AS name, CAST(sum(count) AS BIGINT) AS requests
FROM refusals WHERE {_IN_PERIOD} GROUP BY status, code ORDER BY requests DESC, name LIMIT :limit
"""
_TOTAL = f"SELECT CAST(coalesce(sum(count), 0) AS BIGINT) AS requests FROM refusals WHERE {_IN_PERIOD}"
_DELETE = "DELETE FROM refusals WHERE at < :before"


class RefusalKind(NamedTuple):
    """The key of one sum of refusals."""

    account: str
    key: str
    route: str
    status: int
    code: str


async def add(store: Store, counts: Mapping[RefusalKind, int], now: int) -> None:
    """Add refusals to the sums of this day, in one commit."""
    moment = {"at": now // DAY * DAY, "last": now}
    # One order for all workers, so that two of them cannot block each other.
    await store.write(
        *(
            Statement(_ADD, {**kind._asdict(), **moment, "count": count})
            for kind, count in sorted(counts.items())
        )
    )


async def by_reason(store: Store, period: Period, most: int) -> list[Row]:
    """Count refusals by status and code, the most first. Days are counted whole."""
    return await store.read_long(_BY_REASON, {**_days(period), "limit": most})


async def total(store: Store, period: Period) -> int:
    (row,) = await store.read_long(_TOTAL, _days(period))
    return int(row["requests"])


async def delete(store: Store, before: int) -> None:
    await store.write(Statement(_DELETE, {"before": before}))


def _days(period: Period) -> Params:
    return {"account": period.account, "since": period.since // DAY * DAY, "until": period.until}
