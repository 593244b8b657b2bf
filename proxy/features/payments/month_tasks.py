"""The task of each paid month: its end, the mails before it, and its unspent credits once it is replaced."""

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

_HELD_RETRY_US = 60 * 1_000_000
"""After this time, a replaced month looks again whether requests hold credits of its pool."""
_TRIES = 5
_IS_UNCHANGED = """
state = :state_seen AND starts = :starts_seen AND ends = :ends_seen AND is_paid = :is_paid_seen
"""


class MonthTasks(TaskKind[MonthRecord]):
    """The tasks of paid months in one worker. `sales` is what is sold now."""

    sales: Sales
    name = "paid months"
    table = records.MONTH_TASKS
    may_outlive_worker = False

    def __init__(self, ledger: Ledger, mails: Mails | None = None) -> None:
        super().__init__(ledger.store)
        self._ledger = ledger
        self._mails = mails

    def commit_condition(self, held: MonthRecord) -> Condition:
        """If a booking has changed the month meanwhile, the result is refused and the task runs again."""
        names = ("state", "starts", "ends", "is_paid")
        return Condition(_IS_UNCHANGED, {f"{name}_seen": getattr(held, name) for name in names})

    async def work(self, held: MonthRecord) -> Result:
        for _ in range(_TRIES):
            reading = await plan_changes.read_plan(self._ledger, held.account, self.sales)
            try:
                return await self._work(reading, held)
            except AlreadyExists:
                continue
        return Delayed("Its changes were refused: another worker changes the account.", 1.0)

    async def _work(self, reading: PlanReading, held: MonthRecord) -> Result:
        month = reading.plan_state.month(held.id)
        assert month is not None, "months are never deleted"
        if month.state == "replaced":
            return await self._carry_unspent(reading, month)
        if month.ends == reading.plan_state.paid_until and (
            change := paid_months.end_paid_plan(reading.plan_state)
        ):
            return await self._end_plan(reading, held, change)
        return await self._update_by_clock(reading, held)

    async def _update_by_clock(self, reading: PlanReading, held: MonthRecord) -> Delayed:
        """Write the state that a month has now, and send the mail that is due about its end."""
        now = reading.plan_state.now
        month = paid_months.with_state_at(plan_changes.month_of(held), now)
        kind, mailed = paid_months.due_mail(month, reading.plan_state.paid_until, held.mailed, now)
        # An attempt that has lost its lease sends no mail.
        if_finished = Condition(self.table.finished, {})
        due = paid_months.next_due(month, now)
        values = {"state": month.state, "mailed": mailed, "due": NEVER if due is None else due}
        also = await self._mail(reading, month, kind, if_finished)
        return Delayed(is_try=False, values=values, also=also)

    async def _end_plan(self, reading: PlanReading, held: MonthRecord, change: MonthChange) -> Done:
        """Write the end of an account's paid plan. Requests have used its next plan since the last month
        ended."""
        now = reading.plan_state.now
        month = paid_months.with_state_at(plan_changes.month_of(held), now)
        kind, _ = paid_months.due_mail(month, reading.plan_state.paid_until, held.mailed, now)
        change = msgspec.structs.replace(change, months=(month,))
        statements = [
            *plan_changes.month_statements(reading, change),
            *audit.insert_statements(_act(reading, month, "plan.lapsed", {"plan": change.plan})),
            *await self._mail(reading, month, kind, ALWAYS),
        ]
        await plan_changes.write_change(self._ledger, reading, [], statements)
        if self._mails is not None:
            self._mails.look_now()
        return Done(values={"due": NEVER})

    async def _carry_unspent(self, reading: PlanReading, month: Month) -> Result:
        """Grant the unspent credits of a replaced month. The task runs again while requests may spend from
        its pool."""
        now = reading.plan_state.now
        if not month.is_paid or reading.is_closed:
            return Done(values={"due": NEVER})
        held = await self._ledger.holds.held_allowance(reading.account, month.pool)
        # Read after the holds: a request that settles between counts twice, and is never missed.
        pools = await entries.read_pools(self._store, reading.account)
        target = paid_months.carry_target(month, pools.get(month.pool, 0), held, now)
        if target.credits or target.pool_amount or target.is_final:
            state: MonthState = "carried" if target.is_final else "replaced"
            carried_month = msgspec.structs.replace(
                month, state=state, carried=month.carried + target.credits
            )
            due = None if target.is_final else now
            reason = f"left of the plan {month.plan}"
            new_entries = []
            if target.credits:
                reference = plan_changes.carry_reference(reading, month.id)
                new_entries.append(
                    plan_changes.new_entry(reading, GRANTED, target.credits, reason, reference)
                )
            if target.pool_amount:
                new_entries.append(
                    plan_changes.new_entry(reading, month.pool, target.pool_amount, reason, None)
                )
            statement = plan_changes.month_statement(
                reading, carried_month, due=due, is_carried_again=bool(target.credits)
            )
            act = _act(reading, month, "month.carried", {"credits": in_credits(target.credits)})
            await plan_changes.write_change(
                self._ledger, reading, new_entries, [statement, *audit.insert_statements(act)]
            )
        if target.is_final:
            return Done(values={"due": NEVER})
        assert month.replaced is not None, "a replaced month has its moment"
        latest_entry_at = month.replaced + paid_months.LATEST_ENTRY_US
        due = now + _HELD_RETRY_US if held else max(latest_entry_at, now + _HELD_RETRY_US)
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
            "lapsed_plan": self.sales.with_minutes(lapsed, self.sales.plan_allowance(lapsed), plan=lapsed),
            "link": self._mails.link(""),
        }
        letter = Letter(kind=kind, facts=facts)
        now = reading.plan_state.now
        return await self._mails.statements(letter, account=reading.account, now=now, only_if=only_if)


def _act(reading: PlanReading, month: Month, action: str, details: dict[str, object]) -> Act:
    return audit.new_act(reading.plan_state.now, ACTOR, action, month.id, reading.account, **details)
