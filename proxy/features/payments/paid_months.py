"""Paid months: how a payment changes an account's months and plan, once it is kept or given back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from policies.cycles import cycle_at, start_of_day

MonthState = Literal["ahead", "running", "past", "replaced", "carried", "dropped"]
MailKind = Literal["month_ends", "month_ended"]

_SECOND = 1_000_000
DAY = 86_400 * _SECOND
CARRY_AFTER = 10 * _SECOND
"""Workers know the old plan for half of this time after a change."""
SETTLED = 2 * DAY
"""An entry is never written later than this after its request began."""
_NO_BALANCES: Mapping[int, int] = {}
MAILED_BEFORE = (5 * DAY, 1 * DAY)
"""So long before the end of the last month its account gets a mail."""


class Month(msgspec.Struct, frozen=True, kw_only=True):
    """A month of a plan, whose order is of the moment `ordered`. `starts <= moment < ends` if nothing ends it
    before.

    An ended one is `past`. One that a change of plan ended, at the moment `replaced`, waits until what is
    left of it is `carried` into granted credits; `pool_balance` is the balance of its pool then, if the next
    plan spends from the same pool. A month that was given back before its end is `dropped`, and has `lost`
    so many credits.
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
        """The pool of its cycle. A first month starts within a day, and the cycle at its midnight."""
        return start_of_day(self.starts)

    @property
    def has_run(self) -> bool:
        """Tell whether its plan was in force, so that its pool may have spending."""
        return self.replaced is None or self.replaced >= self.starts


class BoughtMonth(msgspec.Struct, frozen=True, kw_only=True):
    """A paid month. If its account may not have the plan any more, it `is_barred`."""

    id: str
    plan: str
    allowance: int | None
    ordered: int
    is_barred: bool = False


class PlanState(msgspec.Struct, frozen=True, kw_only=True):
    """An account at the moment `now`: its plan as it is written, the anchor of its cycles, all months, and
    the balances of its pools. What running requests hold counts as spent."""

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
    """An account after a change. `credits` are granted for months, or taken back below zero. `spent` is given
    back to the pool `pool`: the plan that begins there has its whole allowance."""

    plan: str
    anchor: int
    paid_until: int | None
    months: tuple[Month, ...] = ()
    credits: tuple[tuple[str, int], ...] = ()
    pool: int = 0
    spent: int = 0
    needs_attention: bool = False


def keep(account: PlanState, bought: BoughtMonth) -> MonthChange:
    """Return what a month that is paid now does.

    One of the plan in force joins behind, and another plan begins now. It becomes credits if its plan would
    take something away: it is barred, was ordered before the running month, or the account has that plan for
    nothing. Without an allowance there are none, and it needs attention.
    """
    was, chain = account.month(bought.id), account.chain
    is_joining = bool(chain) and chain[-1].plan == bought.plan
    if was is not None and (was.state != "dropped" or not _is_whole(was, is_joining)):
        return _won(account, was)
    if is_joining and not bought.is_barred:
        joined = _month(bought, chain[-1].ends, account.anchor, account.now)
        return _changed(account, (joined,), paid_until=joined.ends)
    is_owned = not chain and account.paid_until is None and account.plan == bought.plan
    is_older = bool(chain) and bought.ordered < chain[-1].ordered
    if bought.is_barred or is_owned or is_older:
        never = account.now + 1
        ended = Month(**_values(bought), starts=never, ends=never, state="carried", replaced=account.now)
        change = _carried(_changed(account), (ended,))
        return _replace(change, needs_attention=bought.allowance is None)
    return _begin(account, bought)


def give_back(account: PlanState, id_: str) -> MonthChange:
    """Return what a month does whose whole price was given back.

    One ahead is dropped. The running one ends now, and one ahead begins. A carried one takes its credits
    back. A past one needs attention, as nothing of it is left.
    """
    was, chain = account.month(id_), account.chain
    if was is None or not was.is_paid:
        return _changed(account)
    if was not in chain:
        month = _replace(settled(was, account.now), is_paid=False)
        change = _changed(account, (month,))
        credits = ((was.id, -was.carried),) if was.carried else ()
        if was.state == "replaced" and was.pool_balance is not None:
            # The plan after it, in the same pool, does not owe its spending.
            spent = _spent_before(was.pool_balance, account.balances.get(was.pool, 0))
            change = _replace(change, pool=was.pool, spent=spent)
        return _replace(change, credits=credits, needs_attention=month.state == "past")
    place, now = chain.index(was), account.now
    is_ahead = was.starts > now
    lost = was.allowance or 0 if is_ahead else left(was, account.balances.get(was.pool, 0))
    dropped = _replace(was, state="dropped", is_paid=False, replaced=now, lost=lost)
    if is_ahead:
        moved = _in_row(chain[place + 1 :], was.starts, account.anchor, now)
        return _changed(account, (dropped, *moved), paid_until=(*chain[:place], *moved)[-1].ends)
    moved = _in_row(chain[1:], now, now, now)
    change = MonthChange(
        plan=account.plan if moved else account.lapsed_plan,
        anchor=now if moved else account.anchor,
        paid_until=moved[-1].ends if moved else None,
        months=(dropped, *moved),
    )
    return _settling(account, change, was.pool)


def end(account: PlanState) -> MonthChange | None:
    """Return the change that writes the end of the last month. None: nothing has ended, or it is written."""
    if account.paid_until is None or account.now < account.paid_until:
        return None
    return MonthChange(plan=account.lapsed_plan, anchor=account.anchor, paid_until=None)


def settled(month: Month, now: int) -> Month:
    """Return a month with the state that it has by the clock."""
    if month.state not in ("ahead", "running") or now < month.starts:
        return month
    return _replace(month, state="past" if month.ends <= now else "running")


def left(month: Month, balance: int) -> int:
    """Return what is left of a month's allowance, with the balance of its pool. No allowance leaves none."""
    return 0 if month.allowance is None else min(month.allowance, max(0, month.allowance + balance))


class Carry(NamedTuple):
    """What is carried of a month: credits to grant, and to add to its pool. It `is_final` once nothing more
    can be spent there."""

    credits: int
    pool: int
    is_final: bool


def carry(month: Month, balance: int, held: int, now: int) -> Carry:
    """Return what is to be carried of a replaced month now, besides what was.

    It is a target, as running requests may settle in its pool later: it is looked at again once none holds
    credits there, and for the last time when no entry can be as old. The credits leave the pool, so a request
    that began under the old plan cannot spend them twice.
    """
    assert month.replaced is not None, "a replaced month has its moment"
    if not month.has_run:
        return Carry((month.allowance or 0) - month.carried, 0, is_final=True)
    if month.pool_balance is not None:
        spent = _spent_before(month.pool_balance, balance)
        return Carry(left(month, month.pool_balance) - month.carried, spent, is_final=True)
    credits = left(month, balance + month.carried - held) - month.carried
    return Carry(credits, -credits, is_final=not held and now >= month.replaced + SETTLED)


def mail_at(month: Month, paid_until: int | None, mailed: int, now: int) -> tuple[MailKind | None, int]:
    """Return the mail that is due about a running or past month, and how many are then sent or skipped.

    Only the last month of an account has mails. A late task sends one mail, for the moment that it is.
    """
    passed = sum(now >= month.ends - before for before in MAILED_BEFORE) + (now >= month.ends)
    if passed <= mailed or paid_until != month.ends or not month.is_paid:
        return None, max(passed, mailed)
    return ("month_ended" if now >= month.ends else "month_ends"), passed


def due_at(month: Month, now: int) -> int | None:
    """Return when a month has to be looked at next. None: never."""
    if month.state == "replaced":
        assert month.replaced is not None, "a replaced month has its moment"
        return month.replaced + CARRY_AFTER
    if month.state not in ("ahead", "running"):
        return None
    moments = (month.starts, *(month.ends - before for before in MAILED_BEFORE), month.ends)
    return min((moment for moment in moments if moment > now), default=month.ends)


def _spent_before(pool_balance: int, balance: int) -> int:
    """Return the spending to give back to a pool. A payment or a reset may have given it back since."""
    return -min(0, max(pool_balance, balance))


def _begin(account: PlanState, bought: BoughtMonth) -> MonthChange:
    """Begin a month of another plan. What is left of the pool's old plan is granted at once if it is the same
    pool, and else once nothing is held in the old one."""
    now = account.now
    begun = _month(bought, now, now, now)
    ended = []
    for each in account.chain:
        is_settled = each.starts > now or each.pool == begun.pool
        state: MonthState = "carried" if is_settled else "replaced"
        ended.append(_replace(each, state=state, replaced=now))
    change = MonthChange(plan=bought.plan, anchor=now, paid_until=begun.ends, months=(begun,))
    change = _settling(account, change, begun.pool)
    replaced = tuple(each for each in ended if each.state == "replaced")
    carried = tuple(each for each in ended if each.state == "carried")
    return _carried(_replace(change, months=(*replaced, begun)), carried, account.balances)


def _won(account: PlanState, was: Month) -> MonthChange:
    """Return what a month does whose price comes back, after it was given back: what was taken is granted. It
    is no second month."""
    if was.is_paid:
        return _changed(account)
    month = _replace(was, is_paid=True)
    if was.state == "dropped":
        month = _replace(month, state="carried", carried=was.lost or 0)
    credits = ((month.id, month.carried),) if month.carried else ()
    needs_attention = was.state == "dropped" and was.allowance is None
    return _replace(_changed(account, (month,)), credits=credits, needs_attention=needs_attention)


def _is_whole(was: Month, is_joining: bool) -> bool:
    """Tell whether a dropped month may be had as if it was paid now: its plan was never in force."""
    return not was.has_run and (is_joining or was.allowance is None)


def _carried(
    change: MonthChange, months: tuple[Month, ...], balances: Mapping[int, int] = _NO_BALANCES
) -> MonthChange:
    """Grant what is left of months that end in this change."""
    whole = tuple(
        _replace(each, carried=left(each, balances.get(each.pool, 0) if each.has_run else 0))
        for each in months
    )
    credits = tuple((each.id, each.carried) for each in whole if each.carried)
    return _replace(change, months=(*change.months, *whole), credits=(*change.credits, *credits))


def _settling(account: PlanState, change: MonthChange, pool: int) -> MonthChange:
    """Let a plan begin in a pool as if nothing was spent there."""
    return _replace(change, pool=pool, spent=-min(0, account.balances.get(pool, 0)))


def _in_row(months: Iterable[Month], starts: int, anchor: int, now: int) -> tuple[Month, ...]:
    row = []
    for each in months:
        row.append(_month(each, starts, anchor, now))
        starts = row[-1].ends
    return tuple(row)


def _month(bought: BoughtMonth | Month, starts: int, anchor: int, now: int) -> Month:
    state: MonthState = "running" if starts <= now else "ahead"
    return Month(**_values(bought), starts=starts, ends=cycle_at(anchor, starts).end, state=state)


def _values(bought: BoughtMonth | Month) -> dict[str, Any]:
    return {name: getattr(bought, name) for name in ("id", "plan", "allowance", "ordered")}


def _changed(
    account: PlanState, months: tuple[Month, ...] = (), paid_until: int | None = None
) -> MonthChange:
    until = account.paid_until if paid_until is None else paid_until
    return MonthChange(plan=account.plan, anchor=account.anchor, paid_until=until, months=months)


_replace = msgspec.structs.replace
