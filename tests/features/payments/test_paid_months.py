"""Paid months: how they join, begin, end and are given back, whatever the day."""

from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from policies.cycles import cycle_at, start_of_day
from proxy.features.payments.paid_months import (
    LATEST_ENTRY_US,
    BoughtMonth,
    CarryTarget,
    Month,
    MonthChange,
    MonthState,
    PlanState,
    buy_month,
    carry_target,
    due_mail,
    end_paid_plan,
    next_due,
    refund_month,
    with_state_at,
)
from tests.tables import each_row

SECOND = 1_000_000
DAY = 86_400 * SECOND


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


NOW = at("2026-01-31 10:00")


def free(now: int = NOW, plan: str = "free", **others: object) -> PlanState:
    plan_state = PlanState(
        now=now, plan=plan, anchor=at("2025-03-07 09:00"), paid_until=None, lapsed_plan="free"
    )
    return replace(plan_state, **others)


def bought(id_: str, plan: str = "pro", allowance: int | None = 1000, ordered: int = 0) -> BoughtMonth:
    return BoughtMonth(id=id_, plan=plan, allowance=allowance, ordered=ordered)


def after(account: PlanState, change: MonthChange, **others: object) -> PlanState:
    """The account once the change was committed."""
    changed = {month.id: month for month in change.months}
    months = {month.id: month for month in account.months} | changed
    balances = {**account.balances, change.pool: account.balances.get(change.pool, 0) + change.spent}
    plan_state = replace(
        account,
        plan=change.plan,
        anchor=change.anchor,
        paid_until=change.paid_until,
        months=tuple(months.values()),
        balances=balances,
    )
    return replace(plan_state, **others)


def with_months(number: int, now: int = NOW) -> PlanState:
    account = free(now)
    for place in range(1, number + 1):
        account = after(account, buy_month(account, bought(str(place))))
    return account


def test_months_behind_each_other_end_with_the_cycles_of_the_anchor() -> None:
    ends = [month.ends for month in with_months(4).chain]
    assert ends == [at("2026-02-28"), at("2026-03-31"), at("2026-04-30"), at("2026-05-31")]


@given(st.integers(at("2024-01-01"), at("2028-12-31")), st.integers(1, 5))
def test_a_paid_plan_is_never_interrupted_and_each_month_is_a_cycle(now: int, number: int) -> None:
    account = with_months(number, now)
    assert account.paid_until == account.chain[-1].ends
    assert all(one.ends == next_.starts for one, next_ in pairwise(account.chain))
    for month in account.chain:
        cycle = cycle_at(account.anchor, month.starts)
        assert (month.pool, month.ends) == (cycle.start, cycle.end)


@each_row(
    ("given", "left"),
    [("1", ["2", "3"]), ("2", ["1", "3"]), ("3", ["1", "2"])],
)
def test_a_month_that_is_given_back_leaves_no_hole(given: str, left: list[str]) -> None:
    account = with_months(3)
    account = replace(account, now=NOW + 3 * DAY)
    account = after(account, refund_month(account, given))
    assert [month.id for month in account.chain] == left
    assert account.paid_until == account.chain[-1].ends
    assert account.chain[0].starts <= account.now
    assert all(one.ends == next_.starts for one, next_ in pairwise(account.chain))
    won = buy_month(account, bought(given))
    if given == "1":
        assert (won.plan, won.months[0].state, won.credits) == ("pro", "carried", (("1", 1000),))
    else:
        assert won.paid_until is not None
        assert won.paid_until > account.chain[-1].ends


def test_the_last_month_that_is_given_back_ends_the_plan_now() -> None:
    account = replace(with_months(1), balances={start_of_day(NOW): -300}, now=NOW + DAY)
    change = refund_month(account, "1")
    assert (change.plan, change.paid_until, change.spent) == ("free", None, 300)
    assert change.months[0].lost == 700
    assert refund_month(after(account, change), "1").months == ()


@each_row(
    ("balance", "days", "carried", "spent"),
    [(0, 0, 1000, 0), (-400, 0, 600, 400), (-1300, 0, 0, 1300), (-400, 3, None, 0)],
)
def test_another_plan_begins_now(balance: int, days: int, carried: int | None, spent: int) -> None:
    account = replace(with_months(2), balances={start_of_day(NOW): balance}, now=NOW + days * DAY)
    change = buy_month(account, bought("3", "mini", 100))
    assert (change.plan, change.anchor, change.spent) == ("mini", account.now, spent)
    assert dict(change.credits).get("2") == 1000, "the month ahead is whole"
    if carried is None:
        assert [month.state for month in change.months] == ["replaced", "running", "carried"]
    else:
        assert dict(change.credits).get("1", 0) == carried


@each_row(
    ("account", "purchase"),
    [
        (with_months(1), replace(bought("9", "mini"), ordered=-1)),
        (with_months(1), replace(bought("9", "mini"), is_barred=True)),
        (with_months(1), replace(bought("9"), is_barred=True)),
        (free(plan="pro"), bought("9")),
    ],
    ids=["ordered before the running one", "barred", "barred behind", "had for nothing"],
)
def test_a_month_that_would_take_something_away_becomes_credits(
    account: PlanState, purchase: BoughtMonth
) -> None:
    change = buy_month(account, purchase)
    assert (change.plan, change.paid_until) == (account.plan, account.paid_until)
    assert change.credits == (("9", 1000),)
    taken = refund_month(after(account, change), "9")
    assert taken.credits == (("9", -1000),)


@each_row(
    ("state", "others", "balance", "held", "found"),
    [
        ("replaced", {}, -400, 0, CarryTarget(600, -600, is_final=False)),
        ("replaced", {}, -400, 100, CarryTarget(500, -500, is_final=False)),
        ("replaced", {"carried": 500}, -1000, 0, CarryTarget(0, 0, is_final=False)),
        ("replaced", {"carried": 500}, -900, 0, CarryTarget(100, -100, is_final=False)),
        ("replaced", {"carried": 600}, -1100, 0, CarryTarget(-100, 100, is_final=False)),
        ("replaced", {"replaced": NOW - LATEST_ENTRY_US}, -400, 0, CarryTarget(600, -600, is_final=True)),
        ("replaced", {"pool_balance": -400}, -900, 0, CarryTarget(600, 400, is_final=True)),
        ("replaced", {"starts": NOW + DAY}, -900, 0, CarryTarget(1000, 0, is_final=True)),
        ("replaced", {"allowance": None}, -900, 0, CarryTarget(0, 0, is_final=False)),
        ("replaced", {}, 50, 0, CarryTarget(1000, -1000, is_final=False)),
    ],
)
def test_what_is_left_of_a_replaced_month_is_carried(
    state: MonthState, others: dict[str, int | None], balance: int, held: int, found: CarryTarget
) -> None:
    month = replace(
        Month(
            id="1", plan="pro", allowance=1000, ordered=0, starts=NOW - 9 * DAY, ends=NOW + DAY, state=state
        ),
        **{"replaced": NOW, **others},
    )
    assert carry_target(month, balance, held, NOW) == found


def test_a_late_task_sends_one_mail_and_a_month_that_goes_on_none() -> None:
    (month,) = with_months(1).months
    moments = [month.ends - 6 * DAY, month.ends - 4 * DAY, month.ends - DAY, month.ends]
    sent, kinds = 0, []
    for now in moments:
        kind, sent = due_mail(with_state_at(month, now), month.ends, sent, now)
        kinds.append(kind)
    assert (kinds, sent) == ([None, "month_ends", "month_ends", "month_ended"], 3)
    assert due_mail(month, month.ends, 0, month.ends + DAY) == ("month_ended", 3)
    assert due_mail(month, month.ends + DAY, 0, month.ends - DAY) == (None, 2)
    assert next_due(month, NOW) == month.ends - 5 * DAY
    assert next_due(with_state_at(month, month.ends), month.ends) is None


def test_an_end_is_written_once() -> None:
    account = with_months(1)
    assert end_paid_plan(account) is None
    change = end_paid_plan(replace(account, now=account.chain[0].ends))
    assert change is not None
    assert (change.plan, change.paid_until) == ("free", None)
    assert end_paid_plan(after(account, change)) is None
