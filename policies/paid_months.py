"""Paid months: how a payment changes an account's months and plan, once it is kept or given back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from policies.cycles import cycle_at, day_at

MonthState = Literal["ahead", "running", "past", "replaced", "carried", "dropped"]
MailKind = Literal["month_ends", "month_ended"]

_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
CARRY_AFTER = 10 * _SECOND
"""Workers know the old plan for half of this time after a change."""
MAILED_BEFORE = (5 * _DAY, 1 * _DAY)
"""So long before the end of the last month its account gets a mail."""


class Month(msgspec.Struct, frozen=True, kw_only=True):
    """A month of a plan. `starts <= moment < ends` if nothing ends it before.

    An ended one is `past`. One that a change of plan ended, at the moment `replaced`, waits until what is
    left of it is `carried` into granted credits. If it `shares_pool`, the plan that followed spends from the
    same pool. A month that was given back before its end is `dropped`, at the moment `replaced` too.
    """

    id: str
    plan: str
    allowance: int | None
    starts: int
    ends: int
    state: MonthState
    is_kept: bool = True
    replaced: int | None = None
    shares_pool: bool = False
    carried: int = 0

    @property
    def pool(self) -> int:
        """The pool of its cycle."""
        return day_at(self.starts)

    @property
    def has_run(self) -> bool:
        """Tell whether its plan was in force, so that its pool may have spending."""
        return self.replaced is None or self.replaced > self.starts


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """An account at the moment `now`: its plan as it is written, the anchor of its cycles, and all months."""

    now: int
    plan: str
    anchor: int
    paid_until: int | None
    lapsed_plan: str
    months: tuple[Month, ...] = ()

    @property
    def chain(self) -> tuple[Month, ...]:
        """The month that runs and those ahead, in order. All are of one plan."""
        mine = (each for each in self.months if each.is_kept and each.state in ("ahead", "running"))
        return tuple(sorted((each for each in mine if each.ends > self.now), key=lambda each: each.starts))

    def month(self, id_: str) -> Month | None:
        return next((each for each in self.months if each.id == id_), None)


class MonthChange(msgspec.Struct, frozen=True, kw_only=True):
    """An account after a change. Of `gives_back`, a pool, the spending is given back. `credits` are granted,
    or taken back below zero, for the carry of the month whose payment was booked."""

    plan: str
    anchor: int
    paid_until: int | None
    months: tuple[Month, ...] = ()
    gives_back: int | None = None
    credits: int = 0
    needs_attention: bool = False


def keep(account: Standing, id_: str, plan: str, allowance: int | None) -> MonthChange:
    """Return what a month that is paid now does. One of the plan in force joins behind; another plan begins
    now. A month that was lost and is won again joins as if it was paid now, unless it was used up before."""
    was = account.month(id_)
    if was is not None and was.state != "dropped":
        return _turned(account, was, is_kept=True)
    chain = account.chain
    if chain and chain[-1].plan == plan:
        starts = chain[-1].ends
        joined = _month(id_, plan, allowance, starts, cycle_at(account.anchor, starts).end, account.now)
        return _changed(account, (joined,), paid_until=joined.ends)
    cycle = cycle_at(account.now, account.now)
    ended = (
        _replace(each, state="replaced", replaced=account.now, shares_pool=each.pool == cycle.start)
        for each in chain
    )
    # What paid months spent there stays: otherwise a month that is given back and bought again would be free.
    is_spent_by_paid = any(each.pool == cycle.start and each.has_run for each in account.months)
    begun = _month(id_, plan, allowance, account.now, cycle.end, account.now)
    return MonthChange(
        plan=plan,
        anchor=account.now,
        paid_until=cycle.end,
        months=(*ended, begun),
        gives_back=None if is_spent_by_paid else cycle.start,
    )


def give_back(account: Standing, id_: str) -> MonthChange:
    """Return what a month does whose whole price was given back.

    One ahead is dropped. The running one ends now, and one ahead begins. A carried one takes its credits
    back. A past one needs attention, as nothing of it is left.
    """
    was, chain = account.month(id_), account.chain
    if was is None:
        return _changed(account)
    if was not in chain:
        return _turned(account, was, is_kept=False)
    place = chain.index(was)
    dropped = _replace(was, state="dropped", is_kept=False, replaced=account.now)
    if was.starts > account.now:
        moved = _in_row(chain[place + 1 :], was.starts, account.anchor, account.now)
        return _changed(account, (dropped, *moved), paid_until=(*chain[:place], *moved)[-1].ends)
    if len(chain) == 1:
        return MonthChange(
            plan=account.lapsed_plan, anchor=account.anchor, paid_until=None, months=(dropped,)
        )
    moved = _in_row(chain[1:], account.now, account.now, account.now)
    return MonthChange(
        plan=account.plan, anchor=account.now, paid_until=moved[-1].ends, months=(dropped, *moved)
    )


def end(account: Standing) -> MonthChange | None:
    """Return the change that writes the end of the last month. None: nothing has ended, or it is written."""
    if account.paid_until is None or account.now < account.paid_until:
        return None
    return MonthChange(plan=account.lapsed_plan, anchor=account.anchor, paid_until=None)


def settled(month: Month, now: int) -> Month:
    """Return a month with the state that it has by the clock."""
    if month.state not in ("ahead", "running") or now < month.starts:
        return month
    return _replace(month, state="past" if month.ends <= now else "running")


def carry(month: Month, balance: int) -> int:
    """Return the credits that a replaced month leaves, with the balance of its pool.

    If the plan after it shares the pool, its spending stays there, and so the whole allowance is left.
    """
    if month.allowance is None:
        return 0
    if month.shares_pool or not month.has_run:
        return month.allowance
    return min(month.allowance, max(0, month.allowance + balance))


def mail_at(month: Month, paid_until: int | None, mailed: int, now: int) -> tuple[MailKind | None, int]:
    """Return the mail that is due about a running or past month, and how many are then sent or skipped.

    Only the last month of an account has mails. A late task sends one mail, for the moment that it is.
    """
    passed = sum(now >= month.ends - before for before in MAILED_BEFORE) + (now >= month.ends)
    if passed <= mailed or paid_until != month.ends or not month.is_kept:
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


def _turned(account: Standing, was: Month, *, is_kept: bool) -> MonthChange:
    """Change a month that has ended: what was carried of it comes or goes."""
    if was.is_kept == is_kept:
        return _changed(account)
    month = _replace(settled(was, account.now), is_kept=is_kept)
    credits = was.carried if is_kept else -was.carried
    is_lost = month.state == "past" and not is_kept
    return msgspec.structs.replace(_changed(account, (month,)), credits=credits, needs_attention=is_lost)


def _in_row(months: Iterable[Month], starts: int, anchor: int, now: int) -> tuple[Month, ...]:
    row = []
    for each in months:
        ends = cycle_at(anchor, starts).end
        row.append(_month(each.id, each.plan, each.allowance, starts, ends, now))
        starts = ends
    return tuple(row)


def _month(id_: str, plan: str, allowance: int | None, starts: int, ends: int, now: int) -> Month:
    state: MonthState = "running" if starts <= now else "ahead"
    return Month(id=id_, plan=plan, allowance=allowance, starts=starts, ends=ends, state=state)


def _changed(account: Standing, months: tuple[Month, ...] = (), paid_until: int | None = None) -> MonthChange:
    until = account.paid_until if paid_until is None else paid_until
    return MonthChange(plan=account.plan, anchor=account.anchor, paid_until=until, months=months)


_replace = msgspec.structs.replace
