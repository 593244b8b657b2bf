"""Sums of usage by one of its columns. The database adds up, and months are made from days."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from policies.usage_sides import By
from proxy.storage import refusals
from proxy.storage.store import Params, Store
from proxy.storage.usage import IN_PERIOD, IN_PERIOD_OF_ACCOUNT, Period

DAY = 86_400_000_000
ALL = 2**31 - 1

_MADE = re.compile("_[0-9]{16}$")
"""When a job was made, in microseconds, in the ids of its steps."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The id of a step or a run begins with the id of its job and the time at which the job was made.
_JOB = """
CASE WHEN job <> '' AND substr({id}, 1, length(job) + 1) = job || '_'
THEN substr({id}, 1, length(job) + 17) ELSE job END
"""
_EXPRESSIONS: dict[By, str] = {
    "day": f"started / {DAY}",
    "month": f"started / {DAY}",
    "model": "engine || '/' || model",
    "operation": "kind",
    "job": _JOB.format(id="id"),
}
# The costs of runs on rented machines are in no row of usage.
_OF_RUNS: tuple[By, ...] = ("account", "day", "engine", "job", "month")
# Cast, because PostgreSQL sums bigints to a numeric. Each row is rounded down to milliseconds first, so that
# the rows of a group add up to its sum.
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

    A sum of an account has its `account_name`."""

    name: str
    requests: int
    characters: int
    audio_ms: int
    credits: int
    refunded: int
    micro_usd: int
    account_name: str = ""


async def sums(
    store: Store, period: Period, by: By, most: int = ALL, *, has_runs: bool = False
) -> list[UsageSum]:
    """Sum usage, with up to `most` sums: days and months newest first, others by credits, the most first. If
    it `has_runs`, their costs are in the sums by account, day, engine, job and month."""
    if by == "refusal":
        refused = await refusals.by_reason(store, period, most)
        return [_uncharged(str(row["name"]), int(row["requests"])) for row in refused]
    expression = _expression(store, by)
    where = IN_PERIOD if period.account is None else IN_PERIOD_OF_ACCOUNT
    is_time, named = by in ("day", "month"), f", {_ACCOUNT_NAME}" if by == "account" else ""
    sql = f"SELECT {expression} AS name, count(*) AS requests, {_SUMS} FROM usage WHERE {where} GROUP BY 1"
    if has_runs and by in _OF_RUNS:
        runs = f"{COSTS_OF_RUNS} AND {'1 = 1' if period.account is None else 'account = :account'}"
        side = f"at / {DAY}" if is_time else _JOB.format(id="request") if by == "job" else by
        of_runs = f"SELECT {side}, 0, 0, 0, 0, 0, sum(micro_usd) FROM costs WHERE {runs} GROUP BY 1"
        sql = f"SELECT name, {_BOTH} FROM ({sql} UNION ALL {of_runs}) AS sums GROUP BY 1"
    order = "name DESC" if is_time else "credits DESC, requests DESC, name"
    sql = f"SELECT sums.*{named} FROM ({sql}) AS sums ORDER BY {order} LIMIT :limit"
    # A month is complete only when all its days have been read, and a job when all its groups have.
    parameters: Params = {**msgspec.structs.asdict(period), "limit": ALL if by in ("job", "month") else most}
    rows = await store.read_long(sql, parameters)
    if not is_time:
        found = msgspec.convert(rows, list[UsageSum])
        if by == "job":
            return _jobs(found)[:most]
        return await _with_refused(store, period, found) if by == "outcome" else found
    days = msgspec.convert([{**row, "name": _day(row["name"])} for row in rows], list[UsageSum])
    return _joined(days, lambda day: day[:7])[:most] if by == "month" else days


_NUMBERS = [name for name in UsageSum.__struct_fields__ if not name.endswith("name")]
_BOTH = ", ".join(f"CAST(sum({name}) AS BIGINT) AS {name}" for name in _NUMBERS)


def _expression(store: Store, by: By) -> str:
    of_tables = (sql for table in store.tables for side, sql in table.sides if side == by)
    return next(of_tables, _EXPRESSIONS.get(by, by))


async def _with_refused(store: Store, period: Period, outcomes: list[UsageSum]) -> list[UsageSum]:
    """Add the requests that were refused before they could have another outcome."""
    refused = await refusals.total(store, period)
    return [*outcomes, _uncharged("refused", refused)] if refused else outcomes


def _uncharged(name: str, requests: int) -> UsageSum:
    return UsageSum(name, requests, 0, 0, 0, 0, 0)


def _day(number: int) -> str:
    return f"{_EPOCH + timedelta(days=number):%Y-%m-%d}"


def _jobs(found: Sequence[UsageSum]) -> list[UsageSum]:
    """Name jobs by their ids. Two jobs have one id if the second used the Idempotency-Key of a deleted first
    job: then each name ends with the microsecond in which the job was made."""
    ids = {each.name: _MADE.sub("", each.name) for each in found}
    jobs = Counter(id_ for name, id_ in ids.items() if name != id_)
    joined = _joined(found, lambda name: name if jobs[ids[name]] > 1 else ids[name])
    return sorted(joined, key=lambda each: (-each.credits, -each.requests, each.name))


def _joined(sums: Iterable[UsageSum], name_of: Callable[[str], str]) -> list[UsageSum]:
    found: dict[str, UsageSum] = {}
    for each in sums:
        name = name_of(each.name)
        found[name] = _both(found.get(name, _uncharged(name, 0)), each)
    return list(found.values())


def _both(one: UsageSum, other: UsageSum) -> UsageSum:
    added = {field: getattr(one, field) + getattr(other, field) for field in _NUMBERS}
    return UsageSum(one.name, **added)
