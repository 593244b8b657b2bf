"""Sums of usage, grouped by day, model, account or another dimension. The database adds the rows up.

The sums of months are added up here, from the sums of days.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import msgspec

from policies.usage_sides import Dimension
from proxy.storage import refusals
from proxy.storage.store import Params, Store
from proxy.storage.usage import Period

DAY_US = 86_400_000_000
"""In microseconds."""
NO_LIMIT = 2**31 - 1
"""The limit of a query that returns all rows."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXPRESSIONS: dict[Dimension, str] = {
    "day": f"started / {DAY_US}",
    "month": f"started / {DAY_US}",
    "model": "engine || '/' || model",
    "operation": "kind",
}
# Sums by these sides include the costs of runs on rented machines. Those costs are not in the rows of usage.
_SIDES_WITH_RUNS: tuple[Dimension, ...] = ("account", "day", "engine", "job", "month", "tag")
# The sums are cast, because a sum of bigints is a numeric in PostgreSQL. Each row is rounded down to
# milliseconds before the sum, so that a sum is exactly the sum of its rows.
_SUMS = ", ".join(
    f"CAST(sum({expression}) AS BIGINT) AS {name}"
    for name, expression in (
        ("characters", "characters"),
        ("audio_ms", "samples * 1000 / sample_rate_hz"),
        ("credits", "credits"),
        ("refunded", "refunded"),
        ("micro_usd", "micro_usd"),
    )
)
_ACCOUNT_NAME = "coalesce((SELECT accounts.name FROM accounts WHERE id = sums.name), '') AS account_name"
COSTS_OF_RUNS = "job IS NOT NULL AND at >= :since AND at < :until"


class UsageSum(msgspec.Struct, frozen=True):
    """One sum. `name` is a day (`2026-01-31`), a month (`2026-01`), an `engine/model`, an account's id, ….

    If usage is summed by account, `account_name` is the name of the account."""

    name: str
    requests: int
    characters: int
    audio_ms: int
    credits: int
    refunded: int
    micro_usd: int
    account_name: str = ""


_NUMBER_FIELDS = [name for name in UsageSum.__struct_fields__ if not name.endswith("name")]
_SUMS_OF_BOTH = ", ".join(f"CAST(sum({name}) AS BIGINT) AS {name}" for name in _NUMBER_FIELDS)


async def list_sums(
    store: Store, period: Period, by: Dimension, most: int = NO_LIMIT, *, has_runs: bool = False
) -> list[UsageSum]:
    """Return up to `most` sums: days and months newest first, other sums with the most credits first.

    With `has_runs`, sums by account, day, engine, job, month and tag include the costs of rented machines.
    Refusals have no tag.
    """
    if by == "refusal":
        if period.tag is not None:
            return []
        refused = await refusals.count_by_reason(store, period, most)
        return [_requests_only_sum(str(row["name"]), int(row["requests"])) for row in refused]
    table_sqls = (sql for table in store.tables for side, sql in table.sides if side == by)
    expression = next(table_sqls, _EXPRESSIONS.get(by, by))
    is_time = by in ("day", "month")
    account_name = f", {_ACCOUNT_NAME}" if by == "account" else ""
    of_usage = f"FROM usage WHERE {period.condition} GROUP BY 1"
    sql = f"SELECT {expression} AS name, count(*) AS requests, {_SUMS} {of_usage}"
    if has_runs and by in _SIDES_WITH_RUNS:
        of_account = "" if period.account is None else " AND account = :account"
        runs = COSTS_OF_RUNS + of_account + period.of_tag
        run_name = f"at / {DAY_US}" if is_time else by
        run_sums = f"SELECT {run_name}, 0, 0, 0, 0, 0, sum(micro_usd) FROM costs WHERE {runs} GROUP BY 1"
        sql = f"SELECT name, {_SUMS_OF_BOTH} FROM ({sql} UNION ALL {run_sums}) AS sums GROUP BY 1"
    order = "name DESC" if is_time else "credits DESC, requests DESC, name"
    sql = f"SELECT sums.*{account_name} FROM ({sql}) AS sums ORDER BY {order} LIMIT :limit"
    # Months are joined from several rows, so the limit applies after that.
    parameters: Params = {**msgspec.structs.asdict(period), "limit": NO_LIMIT if by == "month" else most}
    rows = await store.read_long(sql, parameters)
    if not is_time:
        found = msgspec.convert(rows, list[UsageSum])
        if by == "outcome" and period.tag is None and (number := await refusals.count_all(store, period)):
            # Refused requests have no row of usage.
            found.append(_requests_only_sum("refused", number))
        return found
    days = msgspec.convert(
        [{**row, "name": f"{_EPOCH + timedelta(days=row['name']):%Y-%m-%d}"} for row in rows], list[UsageSum]
    )
    return _sum_months(days)[:most] if by == "month" else days


def _requests_only_sum(name: str, requests: int) -> UsageSum:
    """Return a sum of requests that cost nothing and spoke nothing."""
    return UsageSum(name, requests, 0, 0, 0, 0, 0)


def _sum_months(days: Iterable[UsageSum]) -> list[UsageSum]:
    found: dict[str, UsageSum] = {}
    for day in days:
        month = day.name[:7]
        before = found.get(month, _requests_only_sum(month, 0))
        added = {field: getattr(before, field) + getattr(day, field) for field in _NUMBER_FIELDS}
        found[month] = UsageSum(month, **added)
    return list(found.values())
