"""The booking of payments: the only code that moves credits and plans for money.

The rows of an order's payments are read before the provider is asked. A booking is one commit, numbered after
the last change of the account: a second worker, or one with an older answer of the provider, is refused.
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
from proxy.features.payments.bodies import format_money
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

PAID_AFTER_CLOSING = "it was paid for an account that is closed"
MONTH_LOST = "a month was given back after its end, or cannot be had any more"
REFUND_FAILED = "its refund has failed since: what was taken for it has to be given back by hand"
REFUND_CHECK_US = 60 * SECOND_US
"""A refund has failed if the provider still shows less of it after this time."""

_log = structlog.get_logger()

_UPSERT_PAYMENT = f"""
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
_UPDATE_ORDER = (
    f"UPDATE orders SET state = :state, paid = coalesce(paid, :paid), {_ATTENTION} WHERE id = :order_id"
)
_ADD_REASON = f"UPDATE orders SET {_ATTENTION} WHERE id = :order_id AND {_IS_NEW_REASON}"
_HAS_NEW_REASON = f"EXISTS (SELECT 1 FROM orders WHERE id = :order_id AND {_IS_NEW_REASON})"
_SET_REFUND_CHECK = "UPDATE payments SET refund_check = :check WHERE id = :id"
_SET_HAS_PAID = "UPDATE accounts SET has_paid = 1 WHERE id = :account"


class Booking:
    """Books payments. `sales` is what is sold now: the feature sets it at each revision."""

    sales: Sales

    def __init__(self, ledger: Ledger, mails: Mails | None = None) -> None:
        self._ledger = ledger
        self._store = ledger.store
        self._mails = mails

    async def book(
        self, order: OrderRecord, rows: Sequence[PaymentRecord], fetched: Sequence[FetchedPayment]
    ) -> bool:
        """Book the payments of an order. Return whether one has changed. `rows` were read before the payments
        were fetched. Raises AlreadyExists if another booking came between: then read and fetch again."""
        known = {row.id: row for row in rows}
        has_booked = False
        for payment in sorted(fetched, key=lambda each: each.id):
            id_ = f"{order.provider}:{payment.id}"
            if id_ not in known and not payment.is_paid:
                continue
            if fault := _differing_fields(order, payment):
                await self._note_attention(order, f"payment {id_} has another {fault}")
                continue
            if id_ in known:
                known[id_] = await self._note_failed_refund(order, known[id_], payment)
            has_booked |= await self._book_one(order, known.get(id_), id_, payment)
        return has_booked

    async def _book_one(
        self, order: OrderRecord, known: PaymentRecord | None, id_: str, payment: FetchedPayment
    ) -> bool:
        reading = await plan_changes.read_plan(self._ledger, order.account, self.sales)
        booked_amount = None if known is None else _paid_amount(known)
        fetched = PaidAmount(payment.amount, payment.refunded, payment.disputed)
        latest = payments.amount_to_book(
            booked_amount, fetched, seller_won_dispute=payment.seller_won_dispute
        )
        row = _booked_row(order, reading, id_, known, latest)
        if known is not None and _booked_values(row) == _booked_values(known):
            return False
        # Read after the account: a booking that changes these rows later raises the number of the account.
        rows = {each.id: each for each in await records.payments_of(self._store, order.id)}
        if rows.get(id_) != known:
            raise AlreadyExists("payments.id")
        credits = row.credited - (0 if known is None else known.credited)
        change = self._month_change(order, reading, row)
        state: Params = {
            "order_id": order.id,
            "state": payments.order_state(map(_paid_amount, {**rows, id_: row}.values())),
            "paid": row.changed,
            "reason": self._reason(reading, known, row, change),
        }
        entries = [plan_changes.new_entry(reading, GRANTED, credits, order.id, f"pay:{id_}:{row.booked}")]
        statements = [
            Statement(_UPSERT_PAYMENT, msgspec.structs.asdict(row)),
            Statement(_UPDATE_ORDER, state),
            Statement(_SET_HAS_PAID, {"account": order.account}),
            *audit.insert_statements(_act(order, row, credits, change)),
        ]
        if change is not None:
            entries += plan_changes.month_entries(reading, change, order.id)
            statements += plan_changes.month_statements(reading, change)
        if known is None and not reading.is_closed:
            statements += await self._receipt(order, id_, row.created)
        _log.info("payment.book.started", payment=id_, order=order.id, booked=row.booked)
        await plan_changes.write_change(self._ledger, reading, entries, statements)
        _log.info("payment.book.complete", payment=id_, order=order.id, booked=row.booked)
        return True

    def _month_change(
        self, order: OrderRecord, reading: PlanReading, row: PaymentRecord
    ) -> MonthChange | None:
        if order.kind != "plan":
            return None
        if not _paid_amount(row).remaining:
            return paid_months.refund_month(reading.plan_state, row.id)
        if reading.is_closed:
            return None
        bought = BoughtMonth(
            id=row.id,
            plan=order.offer,
            allowance=order.allowance,
            ordered=order.created,
            is_barred=reading.has_agreed or order.offer not in self.sales.plans,
        )
        change = paid_months.buy_month(reading.plan_state, bought)
        is_lost = bought.is_barred and bool(change.months)
        return msgspec.structs.replace(change, needs_attention=change.needs_attention or is_lost)

    def _reason(
        self,
        reading: PlanReading,
        known: PaymentRecord | None,
        row: PaymentRecord,
        change: MonthChange | None,
    ) -> str:
        """Return why a person must look at this booking, or ""."""
        remaining_before = 0 if known is None else _paid_amount(known).remaining
        if change is not None and change.needs_attention:
            return f"payment {row.id}: {MONTH_LOST}"
        return (
            f"payment {row.id}: {PAID_AFTER_CLOSING}"
            if reading.is_closed and _paid_amount(row).remaining > remaining_before
            else ""
        )

    async def _receipt(self, order: OrderRecord, id_: str, now: int) -> tuple[Statement, ...]:
        if self._mails is None:
            return ()
        is_plan = order.kind == "plan"
        micro, plan = (order.allowance, order.offer) if is_plan else (order.credits, self.sales.first_plan)
        facts = {
            "title": self.sales.with_minutes(order.title, micro, plan),
            "amount": format_money(order.amount),
            "currency": order.currency,
            "order": order.id,
            "payment": id_,
            "link": self._mails.link(f"orders/{order.id}"),
        }
        return await self._mails.statements(
            Letter(kind="receipt", facts=facts), account=order.account, now=now
        )

    async def _note_failed_refund(
        self, order: OrderRecord, known: PaymentRecord, fetched: FetchedPayment
    ) -> PaymentRecord:
        """Note a refund that became less, at the second look: the first answer may be an old one. Return the
        row as it is then."""
        now, check, reason = await self._store.now(), known.refund_check, ""
        if fetched.refunded >= known.refunded:
            check = None
        elif check is None:
            check = now + REFUND_CHECK_US
        elif check <= now:
            amounts = f"{format_money(known.refunded)} were refunded, now {format_money(fetched.refunded)}"
            check, reason = NEVER, f"payment {known.id}: {amounts}; {REFUND_FAILED}"
        if check != known.refund_check:
            noted = Statement(_SET_REFUND_CHECK, {"check": check, "id": known.id})
            await self._note_attention(order, reason, noted)
        return msgspec.structs.replace(known, refund_check=check)

    async def _note_attention(self, order: OrderRecord, reason: str, *more: Statement) -> None:
        """Note once that a person must look at an order, unless `reason` is "". `more` is in that commit."""
        now, action = await self._store.now(), "order.needs_attention"
        act = audit.new_act(now, ACTOR, action, order.id, order.account, reason=reason)
        facts: Params = {"order_id": order.id, "reason": reason}
        await self._store.write(
            *more,
            *audit.insert_statements(act, _HAS_NEW_REASON, facts),
            Statement(_ADD_REASON, facts),
        )


def _booked_row(
    order: OrderRecord, reading: PlanReading, id_: str, known: PaymentRecord | None, money: PaidAmount
) -> PaymentRecord:
    """Return the row of a payment after this booking. A closed account gets no credits."""
    credits = order.credits if known is None else known.credits
    if known is None and reading.is_closed:
        credits = 0
    credited, booked = (0, 0) if known is None else (known.credited, known.booked)
    target = payments.credits_worth(credits, money)
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
        created=reading.plan_state.now if known is None else known.created,
        changed=reading.plan_state.now,
        refund_check=None if known is None else known.refund_check,
    )


def _booked_values(row: PaymentRecord) -> tuple[int, int, int]:
    return row.refunded, row.disputed, row.credited


def _differing_fields(order: OrderRecord, payment: FetchedPayment) -> str:
    """Return the names of the fields in which a payment differs from its order, or ""."""
    expected = {
        "reference": order.id,
        "amount": order.amount,
        "currency": order.currency,
        "seller": order.seller,
        "is_live": bool(order.is_live),
    }
    return ", ".join(name for name, value in expected.items() if getattr(payment, name) != value)


def _paid_amount(row: PaymentRecord) -> PaidAmount:
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
