"""Changes of an account's plan and months. They are numbered: if two follow from the same reading of the
account, the second is refused."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from policies.cycles import cycle_at
from proxy.features.payments.offers import Sales
from proxy.features.payments.paid_months import Month, MonthChange, PlanState, next_due
from proxy.features.payments.records import NEVER, MonthRecord
from proxy.ledger import Ledger
from proxy.storage import entries
from proxy.storage.entries import GRANTED, Entry
from proxy.storage.listed_tables import lock_account
from proxy.storage.rows import columns, new_id
from proxy.storage.store import Params, Statement

ACTOR = "voxgate"

_LAST_NUMBER = "SELECT coalesce(max(number), 0) AS number FROM plan_changes WHERE account = :account"
_ACCOUNT = "SELECT plan, anchor, paid_until, lapsed_plan, closed, agreed FROM accounts WHERE id = :account"
_MONTHS = f"SELECT {columns(MonthRecord)} FROM paid_months WHERE account = :account"
_INSERT_CHANGE = "INSERT INTO plan_changes (account, number, at) VALUES (:account, :number, :at)"
_UPDATE_PLAN = """
UPDATE accounts SET plan = :plan, anchor = :anchor, paid_until = CAST(:paid_until AS BIGINT),
    lapsed_plan = :lapsed_plan
WHERE id = :account
"""
_COLUMNS = (*Month.__struct_fields__, "account", "due", "moved")
_UPSERT_MONTH = f"""
INSERT INTO paid_months ({", ".join(_COLUMNS)}) VALUES ({", ".join(f":{name}" for name in _COLUMNS)})
ON CONFLICT (id) DO UPDATE SET
    {", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name not in ("id", "account"))},
    mailed = 0, tries = 0, error = ''
"""


class PlanReading(NamedTuple):
    """An account as it was read. `number` is that of its last change, and was read first. It `has_agreed` if
    it has terms of its own. `carry_counts` has the number of carries of each month."""

    account: str
    number: int
    plan_state: PlanState
    is_closed: bool
    has_agreed: bool
    carry_counts: dict[str, int]


async def read_plan(ledger: Ledger, account: str, sales: Sales) -> PlanReading:
    """Read an account. After another numbered change of it, `write_change` refuses this reading."""
    store = ledger.store
    params: Params = {"account": account}
    (numbered,) = await store.read(_LAST_NUMBER, params)
    (row,) = await store.read(_ACCOUNT, params)
    months = await store.read(_MONTHS, params)
    lapsed_plan = row["lapsed_plan"] if row["paid_until"] is not None else sales.lapsed_plan
    now = await store.now()
    pool = cycle_at(row["anchor"], now).start
    held = 0
    plan = sales.plans.get(row["plan"])
    if plan is None or plan.allowance is not None:
        # Read before the balances: a request that settles between counts twice, and is never missed.
        # Without an allowance, holds do not count: the next plan would get a large one that never settles.
        held = await ledger.holds.held_allowance(account, pool)
    balances = await entries.read_pools(store, account)
    plan_state = PlanState(
        now=now,
        plan=row["plan"],
        anchor=row["anchor"],
        paid_until=row["paid_until"],
        # A plan that is not configured any more would refuse everything.
        lapsed_plan=lapsed_plan if lapsed_plan in sales.plans else sales.lapsed_plan,
        months=tuple(month_of(msgspec.convert(each, MonthRecord)) for each in months),
        balances={**balances, pool: balances.get(pool, 0) - held},
    )
    return PlanReading(
        account,
        numbered["number"],
        plan_state,
        row["closed"] is not None,
        row["agreed"] != "{}",
        {each["id"]: each["moved"] for each in months},
    )


async def write_change(
    ledger: Ledger, reading: PlanReading, new_entries: list[Entry], statements: list[Statement]
) -> None:
    """Write one change. Raises AlreadyExists if another change of the account came between: then read it
    again."""
    guard: Params = {"account": reading.account, "number": reading.number + 1, "at": reading.plan_state.now}
    # The lock comes first: a change that waits for it must not hold balances that settlements wait for.
    locked_first = (lock_account(reading.account), Statement(_INSERT_CHANGE, guard))
    if new_entries:
        # Pools in the order in which settlements lock them.
        in_order = sorted(new_entries, key=lambda entry: -entry.pool)
        await ledger.holds.write_entries(in_order, statements, locked_first)
    else:
        await ledger.store.write(*locked_first, *statements)


def month_of(record: MonthRecord) -> Month:
    values = {name: getattr(record, name) for name in Month.__struct_fields__}
    return Month(**{**values, "is_paid": bool(record.is_paid)})


def month_entries(reading: PlanReading, change: MonthChange, reason: str) -> list[Entry]:
    """Return the entries of a change: the grants of carried months, and spending that returns to a pool."""
    found = [
        new_entry(reading, GRANTED, credits, reason, carry_reference(reading, month))
        for month, credits in change.credits
    ]
    if change.spent:
        found.append(new_entry(reading, change.pool, change.spent, reason, None))
    return found


def month_statements(reading: PlanReading, change: MonthChange) -> list[Statement]:
    plan_state, carried = reading.plan_state, {month for month, _ in change.credits}
    plan: Params = {
        "account": reading.account,
        "plan": change.plan,
        "anchor": change.anchor,
        "paid_until": change.paid_until,
        "lapsed_plan": plan_state.lapsed_plan,
    }
    current = (plan_state.plan, plan_state.anchor, plan_state.paid_until)
    is_same = (change.plan, change.anchor, change.paid_until) == current
    written = [] if is_same else [Statement(_UPDATE_PLAN, plan)]
    for month in change.months:
        due = next_due(month, plan_state.now)
        written.append(month_statement(reading, month, due=due, is_carried_again=month.id in carried))
    return written


def month_statement(
    reading: PlanReading, month: Month, *, due: int | None, is_carried_again: bool
) -> Statement:
    row: Params = {
        **msgspec.structs.asdict(month),
        "is_paid": int(month.is_paid),
        "account": reading.account,
        "due": NEVER if due is None else due,
        "moved": reading.carry_counts.get(month.id, 0) + int(is_carried_again),
    }
    return Statement(_UPSERT_MONTH, row)


def carry_reference(reading: PlanReading, month: str) -> str:
    carries = reading.carry_counts.get(month, 0)
    return f"carry:{month}:{carries}" if carries else f"carry:{month}"


def new_entry(reading: PlanReading, pool: int, amount: int, reason: str, reference: str | None) -> Entry:
    """Return an entry that the server itself makes, at the time of its own clock, never the provider's."""
    return Entry(
        id=new_id("ent"),
        account=reading.account,
        pool=pool,
        amount=amount,
        kind="correction" if amount < 0 or pool != GRANTED else "grant",
        at=reading.plan_state.now,
        reference=reference,
        reason=reason,
        actor=ACTOR,
    )
