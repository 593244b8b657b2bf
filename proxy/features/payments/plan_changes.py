"""Changes of an account's plan and months, in numbered units: of two that follow from one reading, the second is
refused whole."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from policies.paid_months import Month, MonthChange, Standing, due_at
from proxy.features.payments.records import NEVER, MonthRecord
from proxy.storage.listed_tables import lock_account
from proxy.storage.rows import columns
from proxy.storage.store import Params, Statement, Store

_NUMBER = "SELECT coalesce(max(number), 0) AS number FROM plan_changes WHERE account = :account"
_ACCOUNT = "SELECT plan, anchor, paid_until, lapsed_plan, closed FROM accounts WHERE id = :account"
_MONTHS = f"SELECT {columns(MonthRecord)} FROM paid_months WHERE account = :account"
_NEXT = "INSERT INTO plan_changes (account, number, at) VALUES (:account, :number, :at)"
_PLAN = """
UPDATE accounts SET plan = :plan, anchor = :anchor, paid_until = CAST(:paid_until AS BIGINT),
    lapsed_plan = :lapsed_plan
WHERE id = :account
"""
_COLUMNS = (*Month.__struct_fields__, "account", "due", "moved")
_MONTH = f"""
INSERT INTO paid_months ({", ".join(_COLUMNS)}) VALUES ({", ".join(f":{name}" for name in _COLUMNS)})
ON CONFLICT (id) DO UPDATE SET
    {", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name not in ("id", "account"))},
    mailed = 0, tries = 0, error = ''
"""


class PlanReading(NamedTuple):
    """An account as it was read. `number` is that of its last change, and was read first."""

    account: str
    number: int
    standing: Standing
    is_closed: bool
    moved: dict[str, int]
    """How often the carry of each month was moved."""


async def read(store: Store, account: str, lapsed_plan: str) -> PlanReading:
    """Read an account. `lapsed_plan` is for one whose plan is not paid yet."""
    params: Params = {"account": account}
    (numbered,) = await store.read(_NUMBER, params)
    (row,) = await store.read(_ACCOUNT, params)
    months = await store.read(_MONTHS, params)
    standing = Standing(
        now=await store.now(),
        plan=row["plan"],
        anchor=row["anchor"],
        paid_until=row["paid_until"],
        lapsed_plan=lapsed_plan if row["paid_until"] is None else row["lapsed_plan"],
        months=tuple(month_of(msgspec.convert(each, MonthRecord)) for each in months),
    )
    moved = {each["id"]: each["moved"] for each in months}
    return PlanReading(account, numbered["number"], standing, row["closed"] is not None, moved)


def month_of(record: MonthRecord) -> Month:
    values = {name: getattr(record, name) for name in Month.__struct_fields__}
    return Month(**{**values, "is_kept": bool(record.is_kept), "shares_pool": bool(record.shares_pool)})


def number_statements(reading: PlanReading) -> tuple[Statement, Statement]:
    """Return the statements by which a unit is refused with AlreadyExists, if another one came before."""
    guard: Params = {"account": reading.account, "number": reading.number + 1, "at": reading.standing.now}
    return lock_account(reading.account), Statement(_NEXT, guard)


def month_statements(reading: PlanReading, change: MonthChange, moved: str = "") -> list[Statement]:
    """Return the statements of a change. The carry of the month `moved` is moved with it."""
    standing = reading.standing
    plan: Params = {
        "account": reading.account,
        "plan": change.plan,
        "anchor": change.anchor,
        "paid_until": change.paid_until,
        "lapsed_plan": standing.lapsed_plan,
    }
    is_same = (change.plan, change.anchor, change.paid_until) == (
        standing.plan,
        standing.anchor,
        standing.paid_until,
    )
    written = [] if is_same else [Statement(_PLAN, plan)]
    return written + [_month_statement(reading, month, moved == month.id) for month in change.months]


def _month_statement(reading: PlanReading, month: Month, is_moved: bool) -> Statement:
    due = due_at(month, reading.standing.now)
    row: Params = {
        **msgspec.structs.asdict(month),
        "is_kept": int(month.is_kept),
        "shares_pool": int(month.shares_pool),
        "account": reading.account,
        "due": NEVER if due is None else due,
        "moved": reading.moved.get(month.id, 0) + is_moved,
    }
    return Statement(_MONTH, row)
