"""Paid months as tasks: their ends, the mails before, and what a replaced one leaves. Nothing has to be in time."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from policies import paid_months
from policies.paid_months import CARRY_AFTER, MailKind, Month, MonthChange
from proxy.features.mail.mails import Mails
from proxy.features.mail.records import Letter
from proxy.features.payments import plan_changes, records
from proxy.features.payments.booking import ACTOR, carry_reference
from proxy.features.payments.plan_changes import PlanReading
from proxy.features.payments.records import NEVER, MonthRecord
from proxy.ledger import Ledger
from proxy.queue.tasks import Again, Done, Result, TaskKind
from proxy.storage import audit, entries
from proxy.storage.audit import Act
from proxy.storage.entries import GRANTED, Entry
from proxy.storage.rows import encode_json, new_id
from proxy.storage.store import ALWAYS, AlreadyExists, Condition, Statement

_HELD_S = 5.0
_AGAIN_S = 1.0
_AS_READ = """
state = :state_seen AND starts = :starts_seen AND ends = :ends_seen AND is_kept = :is_kept_seen
"""


class MonthTasks(TaskKind[MonthRecord]):
    """The paid months of one worker."""

    name = "paid months"
    table = records.MONTH_TASKS
    outlives = False

    def __init__(self, ledger: Ledger, mails: Mails | None) -> None:
        super().__init__(ledger.store)
        self._ledger = ledger
        self._mails = mails

    def only_if(self, held: MonthRecord) -> Condition:
        """A booking may have changed the month meanwhile. Then it is looked at again."""
        names = ("state", "starts", "ends", "is_kept")
        return Condition(_AS_READ, {f"{name}_seen": getattr(held, name) for name in names})

    async def work(self, held: MonthRecord) -> Result:
        reading = await plan_changes.read(self._store, held.account, "")
        month = reading.standing.month(held.id)
        assert month is not None, "months are never deleted"
        try:
            if month.state == "replaced":
                return await self._carry(reading, month)
            if month.ends == reading.standing.paid_until and (change := paid_months.end(reading.standing)):
                return await self._lapse(reading, held, change)
        except AlreadyExists:
            return Again("", _AGAIN_S, is_try=False)
        return await self._turn(reading, held)

    async def _turn(self, reading: PlanReading, held: MonthRecord) -> Again:
        """Note what the clock has done to a month, and mail about its end."""
        now = reading.standing.now
        month = paid_months.settled(plan_changes.month_of(held), now)
        kind, mailed = paid_months.mail_at(month, reading.standing.paid_until, held.mailed, now)
        if_finished = Condition(self.table.finished, {})
        due = paid_months.due_at(month, now)
        values = {"state": month.state, "mailed": mailed, "due": NEVER if due is None else due}
        also = await self._mail(reading, month, kind, if_finished)
        return Again(is_try=False, values=values, also=also)

    async def _lapse(self, reading: PlanReading, held: MonthRecord, change: MonthChange) -> Done:
        """End the paid plan of an account, which has its next plan by the clock already."""
        now = reading.standing.now
        month = paid_months.settled(plan_changes.month_of(held), now)
        kind, _ = paid_months.mail_at(month, reading.standing.paid_until, held.mailed, now)
        change = msgspec.structs.replace(change, months=(month,))
        await self._store.write(
            *plan_changes.number_statements(reading),
            *plan_changes.month_statements(reading, change),
            *audit.insert_statements(_act(reading, month, "plan.lapsed", {"plan": change.plan})),
            *await self._mail(reading, month, kind, ALWAYS),
        )
        if self._mails is not None:
            self._mails.look_soon()
        return Done(values={"due": NEVER})

    async def _carry(self, reading: PlanReading, month: Month) -> Result:
        """Grant what a replaced month leaves, once nothing settles in its pool any more."""
        assert month.replaced is not None, "a replaced month has its moment"
        now = reading.standing.now
        if (wait := month.replaced + CARRY_AFTER - now) > 0:
            return Again("", wait / 1e6, is_try=False)
        reads_pool = month.has_run and not month.shares_pool
        if reads_pool and await self._ledger.holds.is_held(reading.account, month.pool):
            return Again("", _HELD_S, is_try=False)
        pools = await entries.pools(self._store, reading.account)
        left = 0 if reading.is_closed else paid_months.carry(month, pools.get(month.pool, 0))
        carried = msgspec.structs.replace(month, state="carried", carried=left)
        is_granted = left > 0 and month.is_kept
        standing = reading.standing
        change = MonthChange(
            plan=standing.plan, anchor=standing.anchor, paid_until=standing.paid_until, months=(carried,)
        )
        statements = (
            *plan_changes.number_statements(reading),
            *plan_changes.month_statements(reading, change, month.id if is_granted else ""),
            *audit.insert_statements(_act(reading, month, "month.carried", {"micro_credits": left})),
        )
        if is_granted:
            await self._ledger.holds.move([_entry(reading, month, left)], statements)
        else:
            await self._store.write(*statements)
        return Done(values={"due": NEVER})

    async def _mail(
        self, reading: PlanReading, month: Month, kind: MailKind | None, only_if: Condition
    ) -> tuple[Statement, ...]:
        if self._mails is None or kind is None:
            return ()
        facts = {
            "plan": month.plan,
            "date": f"{datetime.fromtimestamp(month.ends / 1e6, UTC):%Y-%m-%d}",
            "lapsed_plan": reading.standing.lapsed_plan,
            "link": self._mails.link(""),
        }
        letter = Letter(kind=kind, facts=facts)
        now = reading.standing.now
        return await self._mails.statements(letter, account=reading.account, now=now, only_if=only_if)


def _entry(reading: PlanReading, month: Month, amount: int) -> Entry:
    return Entry(
        id=new_id("ent"),
        account=reading.account,
        pool=GRANTED,
        amount=amount,
        kind="grant",
        at=reading.standing.now,
        reference=carry_reference(month.id, reading.moved[month.id]),
        reason=f"left of the plan {month.plan}",
        actor=ACTOR,
    )


def _act(reading: PlanReading, month: Month, action: str, details: dict[str, object]) -> Act:
    return Act(
        id=new_id("act"),
        at=reading.standing.now,
        actor=ACTOR,
        action=action,
        subject=month.id,
        account=reading.account,
        details=encode_json(details),
    )
