"""The booking of payments: the only code that moves credits and plans for money.

The rows of an order's payments are read first, and then the provider is asked. A booking is one commit, with
the number after the one that was read: a second worker, or an older answer of the provider, is refused whole.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import structlog

from policies.price import in_credits
from policies.tasks import SECOND_US
from proxy.features.mail.mails import Mails
from proxy.features.mail.records import Letter
from proxy.features.payments import paid_months, plan_changes, records
from proxy.features.payments import rules as payments
from proxy.features.payments.bodies import money
from proxy.features.payments.offers import Sales
from proxy.features.payments.paid_months import BoughtMonth, MonthChange
from proxy.features.payments.plan_changes import ACTOR, PlanReading
from proxy.features.payments.provider import FetchedPayment
from proxy.features.payments.records import NEVER, OrderRecord, PaymentRecord
from proxy.features.payments.rules import PaidAmount
from proxy.ledger import Ledger
from proxy.storage import audit
from proxy.storage.audit import Act
from proxy.storage.entries import GRANTED
from proxy.storage.rows import columns
from proxy.storage.store import AlreadyExists, Params, Statement

CLOSED = "it was paid for an account that is closed"
MONTH = "a month was given back after its end, or cannot be had any more"
FALLEN = "its refund has failed since: what was taken for it has to be given back by hand"
FALL_US = 60 * SECOND_US

_log = structlog.get_logger()

_PAYMENT = f"""
INSERT INTO payments ({columns(PaymentRecord)})
VALUES ({", ".join(f":{name}" for name in PaymentRecord.__struct_fields__)})
ON CONFLICT (id) DO UPDATE SET refunded = excluded.refunded, disputed = excluded.disputed,
    credited = excluded.credited, booked = excluded.booked, changed = excluded.changed
"""
# A reason that a person has looked at does not come back.
_IS_NEW_REASON = """
CAST(:reason AS TEXT) <> '' AND replace(attention, CAST(:reason AS TEXT), '') = attention
AND replace(resolved, CAST(:reason AS TEXT), '') = resolved
"""
_ATTENTION = f"""
attention = CASE WHEN {_IS_NEW_REASON} THEN
    attention || CASE WHEN attention = '' THEN '' ELSE '; ' END || CAST(:reason AS TEXT)
    ELSE attention END
"""
_ORDER = f"UPDATE orders SET state = :state, paid = coalesce(paid, :paid), {_ATTENTION} WHERE id = :order_id"
_NOTE = f"UPDATE orders SET {_ATTENTION} WHERE id = :order_id AND {_IS_NEW_REASON}"
_NOTED_IF = f"EXISTS (SELECT 1 FROM orders WHERE id = :order_id AND {_IS_NEW_REASON})"
_HAS_PAID = "UPDATE accounts SET has_paid = 1 WHERE id = :account"


class Booking:
    """The bookings of one worker, by what is sold now."""

    sales: Sales

    def __init__(self, ledger: Ledger, mails: Mails | None = None) -> None:
        self._ledger = ledger
        self._store = ledger.store
        self._mails = mails
        self._fallen: dict[str, int] = {}
        """Payments of which less is refunded than was booked, each with the moment of the first such look. It
        is `NEVER` once a person was told."""

    async def book(
        self, order: OrderRecord, rows: Sequence[PaymentRecord], fetched: Sequence[FetchedPayment]
    ) -> bool:
        """Book the payments of an order, and return whether any was. `rows` were read before they were
        fetched. Raises AlreadyExists if another unit came before: then begin anew, and fetch again."""
        known = {row.id: row for row in rows}
        has_booked = False
        for payment in sorted(fetched, key=lambda each: each.id):
            id_ = f"{order.provider}:{payment.id}"
            if id_ not in known and not payment.is_paid:
                continue
            if fault := _contradiction(order, payment):
                await self._note(order, f"payment {id_} has another {fault}")
                continue
            if id_ in known:
                await self._note_fall(order, known[id_], payment)
            has_booked |= await self._book(order, known.get(id_), id_, payment)
        return has_booked

    def look_again(self, rows: Sequence[PaymentRecord]) -> int:
        """Return when a second look tells whether refunds of these payments have failed."""
        return min((self._fallen.get(row.id, NEVER) + FALL_US for row in rows), default=NEVER)

    async def _book(
        self, order: OrderRecord, was: PaymentRecord | None, id_: str, payment: FetchedPayment
    ) -> bool:
        reading = await plan_changes.read(self._ledger, order.account, self.sales)
        before = None if was is None else _money(was)
        fetched = PaidAmount(payment.amount, payment.refunded, payment.disputed)
        latest = payments.latest(before, fetched, seller_won_dispute=payment.seller_won_dispute)
        row = _row(order, reading, id_, was, latest)
        if was is not None and _values(row) == _values(was):
            return False
        # Since the account was read, so that a unit which changes them meanwhile refuses this one.
        rows = {each.id: each for each in await records.payments_of(self._store, order.id)}
        if rows.get(id_) != was:
            raise AlreadyExists("payments.id")
        credits = row.credited - (0 if was is None else was.credited)
        change = self._month_change(order, reading, row)
        state: Params = {
            "order_id": order.id,
            "state": payments.order_state(map(_money, {**rows, id_: row}.values())),
            "paid": row.changed,
            "reason": self._reason(reading, was, row, change),
        }
        moved = [plan_changes.entry(reading, GRANTED, credits, order.id, f"pay:{id_}:{row.booked}")]
        statements = [
            Statement(_PAYMENT, msgspec.structs.asdict(row)),
            Statement(_ORDER, state),
            Statement(_HAS_PAID, {"account": order.account}),
            *audit.insert_statements(_act(order, row, credits, change)),
        ]
        if change is not None:
            moved += plan_changes.month_entries(reading, change, order.id)
            statements += plan_changes.month_statements(reading, change)
        if was is None and not reading.is_closed:
            statements += await self._receipt(order, id_, row.created)
        _log.info("payment.book.started", payment=id_, order=order.id, booked=row.booked)
        await plan_changes.write(self._ledger, reading, moved, statements)
        _log.info("payment.book.complete", payment=id_, order=order.id, booked=row.booked)
        return True

    def _month_change(
        self, order: OrderRecord, reading: PlanReading, row: PaymentRecord
    ) -> MonthChange | None:
        if order.kind != "plan":
            return None
        if not _money(row).rest:
            return paid_months.give_back(reading.plan_state, row.id)
        if reading.is_closed:
            return None
        bought = BoughtMonth(
            id=row.id,
            plan=order.offer,
            allowance=order.allowance,
            ordered=order.created,
            is_barred=reading.has_agreed or order.offer not in self.sales.plans,
        )
        change = paid_months.keep(reading.plan_state, bought)
        is_lost = bought.is_barred and bool(change.months)
        return msgspec.structs.replace(change, needs_attention=change.needs_attention or is_lost)

    def _reason(
        self, reading: PlanReading, was: PaymentRecord | None, row: PaymentRecord, change: MonthChange | None
    ) -> str:
        """Return why a person must look at this booking, "" if none has to."""
        kept = 0 if was is None else _money(was).rest
        if change is not None and change.needs_attention:
            return f"payment {row.id}: {MONTH}"
        return f"payment {row.id}: {CLOSED}" if reading.is_closed and _money(row).rest > kept else ""

    async def _receipt(self, order: OrderRecord, id_: str, now: int) -> tuple[Statement, ...]:
        if self._mails is None:
            return ()
        of_plan = order.kind == "plan"
        bought = (order.allowance, order.offer) if of_plan else (order.credits, self.sales.first_plan)
        facts = {
            "title": self.sales.with_minutes(order.title, *bought),
            "amount": money(order.amount),
            "currency": order.currency,
            "order": order.id,
            "payment": id_,
            "link": self._mails.link(f"orders/{order.id}"),
        }
        return await self._mails.statements(
            Letter(kind="receipt", facts=facts), account=order.account, now=now
        )

    async def _note_fall(self, order: OrderRecord, was: PaymentRecord, fetched: FetchedPayment) -> None:
        """Note a refund that fell back, at the second look: one answer may be an old one."""
        if fetched.refunded >= was.refunded:
            self._fallen.pop(was.id, None)
            return
        now = await self._store.now()
        if now - self._fallen.setdefault(was.id, now) >= FALL_US:
            self._fallen[was.id] = NEVER
            amounts = f"{money(was.refunded)} were refunded, now {money(fetched.refunded)}"
            await self._note(order, f"payment {was.id}: {amounts}; {FALLEN}")

    async def _note(self, order: OrderRecord, reason: str) -> None:
        """Note once that a person must look at an order."""
        now, action = await self._store.now(), "order.needs_attention"
        act = audit.new_act(now, ACTOR, action, order.id, order.account, reason=reason)
        facts: Params = {"order_id": order.id, "reason": reason}
        await self._store.write(
            *audit.insert_statements(act, _NOTED_IF, facts),
            Statement(_NOTE, facts),
        )


def _row(
    order: OrderRecord, reading: PlanReading, id_: str, was: PaymentRecord | None, money: PaidAmount
) -> PaymentRecord:
    """Return the payment as it is to be booked. A closed account gets no credits."""
    credits = order.credits if was is None else was.credits
    if was is None and reading.is_closed:
        credits = 0
    credited, booked = (0, 0) if was is None else (was.credited, was.booked)
    target = payments.target(credits, money)
    return PaymentRecord(
        id=id_,
        order_id=order.id,
        account=order.account,
        amount=money.paid,
        currency=order.currency,
        refunded=money.refunded,
        disputed=money.disputed,
        credits=credits,
        credited=min(target, credited) if reading.is_closed else target,
        booked=booked + 1,
        created=reading.plan_state.now if was is None else was.created,
        changed=reading.plan_state.now,
    )


def _values(row: PaymentRecord) -> tuple[int, int, int]:
    return row.refunded, row.disputed, row.credited


def _contradiction(order: OrderRecord, payment: FetchedPayment) -> str:
    """Return the fields in which a payment contradicts its order, "" if it agrees."""
    wanted = {
        "reference": order.id,
        "amount": order.amount,
        "currency": order.currency,
        "seller": order.seller,
        "is_live": bool(order.is_live),
    }
    return ", ".join(name for name, value in wanted.items() if getattr(payment, name) != value)


def _money(row: PaymentRecord) -> PaidAmount:
    return PaidAmount(row.amount, row.refunded, row.disputed)


def _act(order: OrderRecord, row: PaymentRecord, credits: int, change: MonthChange | None) -> Act:
    details = {
        "order": order.id,
        "refunded": row.refunded,
        "disputed": row.disputed,
        "credits": in_credits(credits),
        **({} if change is None else {"plan": change.plan}),
    }
    return audit.new_act(row.changed, ACTOR, "payment.booked", row.id, order.account, **details)
