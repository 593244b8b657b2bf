"""The booking of payments: the only code that moves credits and plans for money.

The rows of an order's payments are read first, and then the provider is asked. A booking is one commit, with a
number after the one that was read. So a second worker, or an older answer of the provider, is refused whole.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import structlog

from policies import paid_months, payments
from policies.paid_months import MonthChange
from policies.payments import Money, Terms
from policies.price import in_credits
from proxy.features.mail.mails import Mails
from proxy.features.mail.records import Letter
from proxy.features.payments import plan_changes
from proxy.features.payments.plan_changes import PlanReading
from proxy.features.payments.provider import FetchedPayment
from proxy.features.payments.records import OrderRecord, PaymentRecord
from proxy.ledger import Ledger
from proxy.storage import audit, entries
from proxy.storage.audit import Act
from proxy.storage.entries import GRANTED, Entry
from proxy.storage.rows import columns, encode_json, new_id
from proxy.storage.store import Params, Statement

ACTOR = "voxgate"
CLOSED = "it was paid for an account that is closed"

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
    """The bookings of one worker. `lapsed_plan` follows the months that begin now."""

    def __init__(self, ledger: Ledger, mails: Mails | None) -> None:
        self.lapsed_plan = ""
        self._ledger = ledger
        self._store = ledger.store
        self._mails = mails

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
            if fault := payments.contradiction(_terms_of(order), _terms_of_payment(payment)):
                await self._note(order, f"payment {id_} has another {fault}")
                continue
            if (booked := await self._book(order, known, id_, payment)) is not None:
                known[id_], has_booked = booked, True
        return has_booked

    async def _book(
        self, order: OrderRecord, known: dict[str, PaymentRecord], id_: str, payment: FetchedPayment
    ) -> PaymentRecord | None:
        reading = await plan_changes.read(self._store, order.account, self.lapsed_plan)
        was, now = known.get(id_), reading.standing.now
        before = None if was is None else _money(was)
        money = payments.latest(
            before, Money(payment.amount, payment.refunded, payment.disputed), has_won=payment.has_won
        )
        credited, booked = (0, 0) if was is None else (was.credited, was.booked)
        target = payments.target(order.credits, money)
        if reading.is_closed:
            target = min(target, credited)
        if before == money and target == credited:
            return None
        row = PaymentRecord(
            id=id_,
            order_id=order.id,
            account=order.account,
            amount=money.paid,
            currency=order.currency,
            refunded=money.refunded,
            disputed=money.disputed,
            credits=order.credits,
            credited=target,
            booked=booked + 1,
            created=now if was is None else was.created,
            changed=now,
        )
        change = _month_change(order, reading, id_, money)
        moved = [_entry(order, target - credited, f"pay:{id_}:{row.booked}", now)]
        moved += await self._month_entries(order, reading, id_, change)
        statements = (
            *plan_changes.number_statements(reading),
            Statement(_PAYMENT, msgspec.structs.asdict(row)),
            self._order_statement(order, {**known, id_: row}, reading, change),
            Statement(_HAS_PAID, {"account": order.account}),
            *(
                plan_changes.month_statements(reading, change, id_ if change.credits else "")
                if change
                else ()
            ),
            *audit.insert_statements(_act(order, row, target - credited, change)),
            *(await self._receipt(order, id_, now) if was is None else ()),
        )
        _log.info("payment.book.started", payment=id_, order=order.id, booked=row.booked)
        await self._ledger.holds.move(moved, statements)
        _log.info("payment.book.complete", payment=id_, order=order.id, booked=row.booked)
        return row

    async def _month_entries(
        self, order: OrderRecord, reading: PlanReading, id_: str, change: MonthChange | None
    ) -> list[Entry]:
        """Return what a change moves besides: a carry, and what an unpaid plan has spent in the new pool."""
        if change is None:
            return []
        moved, now = [], reading.standing.now
        if change.credits:
            moved.append(_entry(order, change.credits, carry_reference(id_, reading.moved[id_]), now))
        if change.gives_back is not None:
            spent = -(await entries.pools(self._store, order.account)).get(change.gives_back, 0)
            if spent > 0:
                moved.append(
                    Entry(
                        id=new_id("ent"),
                        account=order.account,
                        pool=change.gives_back,
                        amount=spent,
                        kind="correction",
                        at=now,
                        reason=f"spent before {order.id}",
                        actor=ACTOR,
                    )
                )
        return moved

    def _order_statement(
        self,
        order: OrderRecord,
        rows: dict[str, PaymentRecord],
        reading: PlanReading,
        change: MonthChange | None,
    ) -> Statement:
        reason = CLOSED if reading.is_closed else ""
        if change is not None and change.needs_attention:
            reason = "a month that is over was given back"
        values: Params = {
            "order_id": order.id,
            "state": payments.order_state(map(_money, rows.values()), is_expired=False),
            "paid": reading.standing.now,
            "reason": reason,
        }
        return Statement(_ORDER, values)

    async def _receipt(self, order: OrderRecord, id_: str, now: int) -> tuple[Statement, ...]:
        if self._mails is None:
            return ()
        facts = {
            "title": order.title,
            "amount": f"{order.amount // 100}.{order.amount % 100:02}",
            "currency": order.currency,
            "order": order.id,
            "payment": id_,
            "link": self._mails.link(f"orders/{order.id}"),
        }
        return await self._mails.statements(
            Letter(kind="receipt", facts=facts), account=order.account, now=now
        )

    async def _note(self, order: OrderRecord, reason: str) -> None:
        """Note once that a person must look at an order."""
        act = Act(
            id=new_id("act"),
            at=await self._store.now(),
            actor=ACTOR,
            action="order.needs_attention",
            subject=order.id,
            account=order.account,
            details=encode_json({"reason": reason}),
        )
        facts: Params = {"order_id": order.id, "reason": reason}
        await self._store.write(
            *audit.insert_statements(act, _NOTED_IF, facts),
            Statement(_NOTE, facts),
        )


def carry_reference(month: str, moved: int) -> str:
    return f"carry:{month}:{moved}" if moved else f"carry:{month}"


def _month_change(order: OrderRecord, reading: PlanReading, id_: str, money: Money) -> MonthChange | None:
    if order.kind != "plan":
        return None
    if not money.kept:
        return paid_months.give_back(reading.standing, id_)
    if reading.is_closed:
        return None
    return paid_months.keep(reading.standing, id_, order.offer, order.allowance)


def _terms_of(order: OrderRecord) -> Terms:
    return Terms(
        reference=order.id,
        amount=order.amount,
        currency=order.currency,
        seller=order.seller,
        is_live=bool(order.is_live),
    )


def _terms_of_payment(payment: FetchedPayment) -> Terms:
    return Terms(
        reference=payment.reference,
        amount=payment.amount,
        currency=payment.currency,
        seller=payment.seller,
        is_live=payment.is_live,
    )


def _money(row: PaymentRecord) -> Money:
    return Money(row.amount, row.refunded, row.disputed)


def _entry(order: OrderRecord, amount: int, reference: str, now: int) -> Entry:
    return Entry(
        id=new_id("ent"),
        account=order.account,
        pool=GRANTED,
        amount=amount,
        kind="correction" if amount < 0 else "grant",
        at=now,
        reference=reference,
        reason=order.id,
        actor=ACTOR,
    )


def _act(order: OrderRecord, row: PaymentRecord, credits: int, change: MonthChange | None) -> Act:
    details = {
        "order": order.id,
        "refunded": row.refunded,
        "disputed": row.disputed,
        "credits": in_credits(credits),
        **({} if change is None else {"plan": change.plan}),
    }
    return Act(
        id=new_id("act"),
        at=row.changed,
        actor=ACTOR,
        action="payment.booked",
        subject=row.id,
        account=order.account,
        details=encode_json(details),
    )
