"""Paid months as tasks: their ends, the mails before, and what replaced ones leave. A task may be late."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from policies.price import in_credits
from proxy.features.mail.mails import Mails
from proxy.features.mail.records import Letter
from proxy.features.payments import paid_months, plan_changes, records
from proxy.features.payments.offers import Sales
from proxy.features.payments.paid_months import MailKind, Month, MonthChange, MonthState
from proxy.features.payments.plan_changes import ACTOR, PlanReading
from proxy.features.payments.records import NEVER, MonthRecord
from proxy.ledger import Ledger
from proxy.queue.tasks import Delayed, Done, Result, TaskKind
from proxy.storage import audit, entries
from proxy.storage.audit import Act
from proxy.storage.entries import GRANTED
from proxy.storage.store import ALWAYS, AlreadyExists, Condition, Statement

_HELD = 60 * 1_000_000
_TRIES = 5
_AS_READ = """
state = :state_seen AND starts = :starts_seen AND ends = :ends_seen AND is_paid = :is_paid_seen
"""


class MonthTasks(TaskKind[MonthRecord]):
    """The paid months of one worker, by what is sold now."""

    sales: Sales
    name = "paid months"
    table = records.MONTH_TASKS
    may_outlive_worker = False

    def __init__(self, ledger: Ledger, mails: Mails | None = None) -> None:
        super().__init__(ledger.store)
        self._ledger = ledger
        self._mails = mails

    def commit_condition(self, held: MonthRecord) -> Condition:
        """A booking may have changed the month meanwhile. Then it is looked at again."""
        names = ("state", "starts", "ends", "is_paid")
        return Condition(_AS_READ, {f"{name}_seen": getattr(held, name) for name in names})

    async def work(self, held: MonthRecord) -> Result:
        for _ in range(_TRIES):
            reading = await plan_changes.read(self._ledger, held.account, self.sales)
            try:
                return await self._work(reading, held)
            except AlreadyExists:
                continue
        return Delayed("Its changes were refused: another worker changes the account.", 1.0)

    async def _work(self, reading: PlanReading, held: MonthRecord) -> Result:
        month = reading.plan_state.month(held.id)
        assert month is not None, "months are never deleted"
        if month.state == "replaced":
            return await self._carry(reading, month)
        if month.ends == reading.plan_state.paid_until and (change := paid_months.end(reading.plan_state)):
            return await self._lapse(reading, held, change)
        return await self._turn(reading, held)

    async def _turn(self, reading: PlanReading, held: MonthRecord) -> Delayed:
        """Note what the clock has done to a month, and mail about its end."""
        now = reading.plan_state.now
        month = paid_months.settled(plan_changes.month_of(held), now)
        kind, mailed = paid_months.mail_at(month, reading.plan_state.paid_until, held.mailed, now)
        if_finished = Condition(self.table.finished, {})
        due = paid_months.due_at(month, now)
        values = {"state": month.state, "mailed": mailed, "due": NEVER if due is None else due}
        also = await self._mail(reading, month, kind, if_finished)
        return Delayed(is_try=False, values=values, also=also)

    async def _lapse(self, reading: PlanReading, held: MonthRecord, change: MonthChange) -> Done:
        """End the paid plan of an account, which has its next plan by the clock already."""
        now = reading.plan_state.now
        month = paid_months.settled(plan_changes.month_of(held), now)
        kind, _ = paid_months.mail_at(month, reading.plan_state.paid_until, held.mailed, now)
        change = msgspec.structs.replace(change, months=(month,))
        statements = [
            *plan_changes.month_statements(reading, change),
            *audit.insert_statements(_act(reading, month, "plan.lapsed", {"plan": change.plan})),
            *await self._mail(reading, month, kind, ALWAYS),
        ]
        await plan_changes.write(self._ledger, reading, [], statements)
        if self._mails is not None:
            self._mails.look_now()
        return Done(values={"due": NEVER})

    async def _carry(self, reading: PlanReading, month: Month) -> Result:
        """Grant what a replaced month leaves. It is looked at again while requests settle in its pool."""
        now = reading.plan_state.now
        if not month.is_paid or reading.is_closed:
            return Done(values={"due": NEVER})
        held = await self._ledger.holds.held_allowance(reading.account, month.pool)
        # Since the holds were read: a request that has settled meanwhile counts twice, and never not at all.
        pools = await entries.read_pools(self._store, reading.account)
        part = paid_months.carry(month, pools.get(month.pool, 0), held, now)
        if part.credits or part.pool or part.is_final:
            state: MonthState = "carried" if part.is_final else "replaced"
            whole = msgspec.structs.replace(month, state=state, carried=month.carried + part.credits)
            due = None if part.is_final else now
            reason = f"left of the plan {month.plan}"
            moved = []
            if part.credits:
                reference = plan_changes.carry_reference(reading, month.id)
                moved.append(plan_changes.entry(reading, GRANTED, part.credits, reason, reference))
            if part.pool:
                moved.append(plan_changes.entry(reading, month.pool, part.pool, reason, None))
            statement = plan_changes.month_statement(reading, whole, due=due, is_moved=bool(part.credits))
            act = _act(reading, month, "month.carried", {"credits": in_credits(part.credits)})
            await plan_changes.write(self._ledger, reading, moved, [statement, *audit.insert_statements(act)])
        if part.is_final:
            return Done(values={"due": NEVER})
        assert month.replaced is not None, "a replaced month has its moment"
        last = month.replaced + paid_months.SETTLED
        due = now + _HELD if held else max(last, now + _HELD)
        return Delayed(is_try=False, values={"due": due})

    async def _mail(
        self, reading: PlanReading, month: Month, kind: MailKind | None, only_if: Condition
    ) -> tuple[Statement, ...]:
        if self._mails is None or kind is None:
            return ()
        lapsed = reading.plan_state.lapsed_plan
        facts = {
            "plan": month.plan,
            "date": f"{datetime.fromtimestamp(month.ends / 1e6, UTC):%Y-%m-%d}",
            "lapsed_plan": self.sales.with_minutes(lapsed, self.sales.plan_allowance(lapsed), lapsed),
            "link": self._mails.link(""),
        }
        letter = Letter(kind=kind, facts=facts)
        now = reading.plan_state.now
        return await self._mails.statements(letter, account=reading.account, now=now, only_if=only_if)


def _act(reading: PlanReading, month: Month, action: str, details: dict[str, object]) -> Act:
    return audit.new_act(reading.plan_state.now, ACTOR, action, month.id, reading.account, **details)
