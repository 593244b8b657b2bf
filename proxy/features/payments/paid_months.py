"""Paid months: how a payment, or its refund, changes an account's months and plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from policies.cycles import cycle_at, start_of_day

MonthState = Literal["ahead", "running", "past", "replaced", "carried", "dropped"]
MailKind = Literal["month_ends", "month_ended"]

_SECOND_US = 1_000_000
DAY_US = 86_400 * _SECOND_US
CARRY_AFTER_US = 10 * _SECOND_US
"""Workers know the old plan for half of this time after a change."""
LATEST_ENTRY_US = 2 * DAY_US
"""A request writes its last ledger entry at most so long after it began."""
_NO_BALANCES: Mapping[int, int] = {}
MAILED_BEFORE_US = (5 * DAY_US, 1 * DAY_US)
"""How long before the end of its last month an account gets a mail."""


class Month(msgspec.Struct, frozen=True, kw_only=True):
    """A bought month of a plan, from `starts` to `ends`. `ordered` is when its order was made.

    Its state is `ahead`, `running` or, once it has ended, `past`. A change of plan ends it at `replaced`; it
    stays in the state `replaced` until its unspent allowance is `carried` into granted credits.
    `pool_balance` is the balance of its pool at that moment, if the next plan spends from the same pool. A
    month that was refunded before its end is `dropped`; `lost` are the unspent credits that went with it.
    """

    id: str
    plan: str
    allowance: int | None
    ordered: int
    starts: int
    ends: int
    state: MonthState
    is_paid: bool = True
    replaced: int | None = None
    pool_balance: int | None = None
    carried: int = 0
    lost: int | None = None

    @property
    def pool(self) -> int:
        """The pool that it spends from. Pools begin at midnight; a first month may start later on that
        day."""
        return start_of_day(self.starts)

    @property
    def has_run(self) -> bool:
        """Tell whether its plan was in force, so that its pool may have spending."""
        return self.replaced is None or self.replaced >= self.starts


class BoughtMonth(msgspec.Struct, frozen=True, kw_only=True):
    """A month that was just paid. It `is_barred` if its account may not have the plan any more."""

    id: str
    plan: str
    allowance: int | None
    ordered: int
    is_barred: bool = False


class PlanState(msgspec.Struct, frozen=True, kw_only=True):
    """An account at the moment `now`: the plan in its row, the anchor of its cycles, all its months, and the
    balances of its pools by their start. Credits that running requests hold count as spent."""

    now: int
    plan: str
    anchor: int
    paid_until: int | None
    lapsed_plan: str
    months: tuple[Month, ...] = ()
    balances: Mapping[int, int] = {}

    @property
    def chain(self) -> tuple[Month, ...]:
        """The month that runs and those ahead, in order. All are of one plan."""
        mine = (each for each in self.months if each.is_paid and each.state in ("ahead", "running"))
        return tuple(sorted((each for each in mine if each.ends > self.now), key=lambda each: each.starts))

    def month(self, id_: str) -> Month | None:
        return next((each for each in self.months if each.id == id_), None)


class MonthChange(msgspec.Struct, frozen=True, kw_only=True):
    """An account after a change. `credits` are pairs of a month's id and a grant; a negative one takes
    credits back. `spent` credits return to the pool `pool`, so the plan that begins there has its whole
    allowance."""

    plan: str
    anchor: int
    paid_until: int | None
    months: tuple[Month, ...] = ()
    credits: tuple[tuple[str, int], ...] = ()
    pool: int = 0
    spent: int = 0
    needs_attention: bool = False


def buy_month(account: PlanState, bought: BoughtMonth) -> MonthChange:
    """Return the change when the price of a month is paid now.

    A month of the plan in force follows the last one; a month of another plan begins now. It becomes granted
    credits instead if the account would lose by it: it is barred or was ordered before the running month, or
    the account has the plan without paying. A plan without an allowance gives no credits: then a person has
    to look.
    """
    known, chain = account.month(bought.id), account.chain
    is_joining = bool(chain) and chain[-1].plan == bought.plan
    if known is not None and (known.state != "dropped" or not _can_be_bought_again(known, is_joining)):
        return _reverse_refund(account, known)
    if is_joining and not bought.is_barred:
        joined = _new_month(bought, chain[-1].ends, account.anchor, account.now)
        return _same_plan(account, (joined,), paid_until=joined.ends)
    is_owned = not chain and account.paid_until is None and account.plan == bought.plan
    is_older = bool(chain) and bought.ordered < chain[-1].ordered
    if bought.is_barred or is_owned or is_older:
        # It starts after it was replaced, so `has_run` is false, and no pool has its spending.
        starts = account.now + 1
        ended = Month(
            **_bought_values(bought), starts=starts, ends=starts, state="carried", replaced=account.now
        )
        change = _grant_unspent(_same_plan(account), (ended,))
        return _replace(change, needs_attention=bought.allowance is None)
    return _begin_plan(account, bought)


def refund_month(account: PlanState, id_: str) -> MonthChange:
    """Return the change when the whole price of a month was refunded.

    A month ahead is dropped. The running month ends now, and the next one begins. The credits of a carried
    month are taken back. A past month has nothing to take back: a person has to look.
    """
    known, chain = account.month(id_), account.chain
    if known is None or not known.is_paid:
        return _same_plan(account)
    if known not in chain:
        month = _replace(with_state_at(known, account.now), is_paid=False)
        change = _same_plan(account, (month,))
        credits = ((known.id, -known.carried),) if known.carried else ()
        if known.state == "replaced" and known.pool_balance is not None:
            # The plan after it, in the same pool, does not owe its spending.
            spent = _pool_spending(known.pool_balance, account.balances.get(known.pool, 0))
            change = _replace(change, pool=known.pool, spent=spent)
        return _replace(change, credits=credits, needs_attention=month.state == "past")
    index, now = chain.index(known), account.now
    is_ahead = known.starts > now
    lost = known.allowance or 0 if is_ahead else unspent_allowance(known, account.balances.get(known.pool, 0))
    dropped = _replace(known, state="dropped", is_paid=False, replaced=now, lost=lost)
    if is_ahead:
        later = _rechain(chain[index + 1 :], known.starts, account.anchor, now)
        return _same_plan(account, (dropped, *later), paid_until=(*chain[:index], *later)[-1].ends)
    later = _rechain(chain[1:], now, now, now)
    change = MonthChange(
        plan=account.plan if later else account.lapsed_plan,
        anchor=now if later else account.anchor,
        paid_until=later[-1].ends if later else None,
        months=(dropped, *later),
    )
    return _restore_pool(account, change, known.pool)


def end_paid_plan(account: PlanState) -> MonthChange | None:
    """Return the change that ends a paid plan. None: the plan still runs, or its end is written already."""
    if account.paid_until is None or account.now < account.paid_until:
        return None
    return MonthChange(plan=account.lapsed_plan, anchor=account.anchor, paid_until=None)


def with_state_at(month: Month, now: int) -> Month:
    """Return a month with its state at the moment `now`: ahead, running or past."""
    if month.state not in ("ahead", "running") or now < month.starts:
        return month
    return _replace(month, state="past" if month.ends <= now else "running")


def unspent_allowance(month: Month, balance: int) -> int:
    """Return the unspent credits of a month's allowance, 0 without one."""
    return 0 if month.allowance is None else min(month.allowance, max(0, month.allowance + balance))


class CarryTarget(NamedTuple):
    """What to carry from a month: credits to grant, and the amount to add to its pool. It `is_final` once no
    request can spend from that pool any more."""

    credits: int
    pool_amount: int
    is_final: bool


def carry_target(month: Month, balance: int, held: int, now: int) -> CarryTarget:
    """Return what to carry from a replaced month now, besides what was carried before.

    Running requests may still spend from its pool, so the task of the month calls this again until no request
    holds credits there and no entry can come late. The carried credits leave the pool, so a request that
    began under the old plan cannot spend them twice.
    """
    assert month.replaced is not None, "a replaced month has its moment"
    if not month.has_run:
        return CarryTarget((month.allowance or 0) - month.carried, 0, is_final=True)
    if month.pool_balance is not None:
        spent = _pool_spending(month.pool_balance, balance)
        return CarryTarget(unspent_allowance(month, month.pool_balance) - month.carried, spent, is_final=True)
    credits = unspent_allowance(month, balance + month.carried - held) - month.carried
    return CarryTarget(credits, -credits, is_final=not held and now >= month.replaced + LATEST_ENTRY_US)


class DueMail(NamedTuple):
    """A mail about the end of a month, if one is due. `mailed` counts those that are then sent or skipped."""

    kind: MailKind | None
    mailed: int


def due_mail(month: Month, paid_until: int | None, mailed: int, now: int) -> DueMail:
    """Return the mail that is due about a running or past month.

    Only the last month of an account has mails. A late task skips the mails before the one that is due now.
    """
    passed = sum(now >= month.ends - before for before in MAILED_BEFORE_US) + (now >= month.ends)
    if passed <= mailed or paid_until != month.ends or not month.is_paid:
        return DueMail(None, max(passed, mailed))
    return DueMail("month_ended" if now >= month.ends else "month_ends", passed)


def next_due(month: Month, now: int) -> int | None:
    """Return when the task of a month is due next. None: never."""
    if month.state == "replaced":
        assert month.replaced is not None, "a replaced month has its moment"
        return month.replaced + CARRY_AFTER_US
    if month.state not in ("ahead", "running"):
        return None
    moments = (month.starts, *(month.ends - before for before in MAILED_BEFORE_US), month.ends)
    return min((moment for moment in moments if moment > now), default=month.ends)


def _pool_spending(pool_balance: int, balance: int) -> int:
    """Return what was spent of a pool before a change of plan, less what came back to it since."""
    return -min(0, max(pool_balance, balance))


def _begin_plan(account: PlanState, bought: BoughtMonth) -> MonthChange:
    """Begin a month of another plan now. It ends the account's other months. Those ahead and those of the
    same pool are carried at once; one of another pool is carried by its task."""
    now = account.now
    begun = _new_month(bought, now, now, now)
    ended = []
    for each in account.chain:
        is_carried_now = each.starts > now or each.pool == begun.pool
        state: MonthState = "carried" if is_carried_now else "replaced"
        ended.append(_replace(each, state=state, replaced=now))
    change = MonthChange(plan=bought.plan, anchor=now, paid_until=begun.ends, months=(begun,))
    change = _restore_pool(account, change, begun.pool)
    replaced = tuple(each for each in ended if each.state == "replaced")
    carried = tuple(each for each in ended if each.state == "carried")
    return _grant_unspent(_replace(change, months=(*replaced, begun)), carried, account.balances)


def _reverse_refund(account: PlanState, known: Month) -> MonthChange:
    """Return the change when the refund of a month has failed, or its dispute was won.

    What the refund took is granted as credits. The month does not run again."""
    if known.is_paid:
        return _same_plan(account)
    month = _replace(known, is_paid=True)
    if known.state == "dropped":
        month = _replace(month, state="carried", carried=known.lost or 0)
    credits = ((month.id, month.carried),) if month.carried else ()
    needs_attention = known.state == "dropped" and known.allowance is None
    return _replace(_same_plan(account, (month,)), credits=credits, needs_attention=needs_attention)


def _can_be_bought_again(known: Month, is_joining: bool) -> bool:
    """Tell whether a dropped month counts as bought now: its plan was never in force."""
    return not known.has_run and (is_joining or known.allowance is None)


def _grant_unspent(
    change: MonthChange, months: tuple[Month, ...], balances: Mapping[int, int] = _NO_BALANCES
) -> MonthChange:
    """Add these ended months to a change, with grants of their unspent allowances."""
    carried = tuple(
        _replace(each, carried=unspent_allowance(each, balances.get(each.pool, 0) if each.has_run else 0))
        for each in months
    )
    credits = tuple((each.id, each.carried) for each in carried if each.carried)
    return _replace(change, months=(*change.months, *carried), credits=(*change.credits, *credits))


def _restore_pool(account: PlanState, change: MonthChange, pool: int) -> MonthChange:
    """Return the spending to a pool, so that the plan that begins there has its whole allowance."""
    return _replace(change, pool=pool, spent=-min(0, account.balances.get(pool, 0)))


def _rechain(months: Iterable[Month], starts: int, anchor: int, now: int) -> tuple[Month, ...]:
    """Return the months one behind the other. The first one begins at the moment `starts`."""
    moved = []
    for each in months:
        moved.append(_new_month(each, starts, anchor, now))
        starts = moved[-1].ends
    return tuple(moved)


def _new_month(bought: BoughtMonth | Month, starts: int, anchor: int, now: int) -> Month:
    state: MonthState = "running" if starts <= now else "ahead"
    return Month(**_bought_values(bought), starts=starts, ends=cycle_at(anchor, starts).end, state=state)


def _bought_values(bought: BoughtMonth | Month) -> dict[str, Any]:
    return {name: getattr(bought, name) for name in ("id", "plan", "allowance", "ordered")}


def _same_plan(
    account: PlanState, months: tuple[Month, ...] = (), paid_until: int | None = None
) -> MonthChange:
    until = account.paid_until if paid_until is None else paid_until
    return MonthChange(plan=account.plan, anchor=account.anchor, paid_until=until, months=months)


_replace = msgspec.structs.replace
