"""The seller's account at the fake: its preferences, and payments with their states."""

from __future__ import annotations

import itertools
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from fakes.payments import Now

METHODS = {"pix": "bank_transfer", "master": "credit_card", "bolbradesco": "ticket"}
"""Ways to pay, each with its payment type."""
_DETAILS = {
    "approved": "accredited",
    "pending": "pending_waiting_transfer",
    "rejected": "cc_rejected_other_reason",
}
_REFERENCE = re.compile(r"[A-Za-z0-9_-]{0,64}")


class Refused(Exception):
    """A request is refused with this status."""

    def __init__(self, status: int, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code


class Preference(msgspec.Struct, kw_only=True):
    """What a buyer may pay. `raw` is the request as it came."""

    id: str
    raw: dict[str, Any]
    created: float

    @property
    def amount(self) -> Decimal:
        return sum(
            (Decimal(str(item["unit_price"])) * item["quantity"] for item in self.raw["items"]), Decimal()
        )

    @property
    def excluded(self) -> set[str]:
        types = self.raw.get("payment_methods", {}).get("excluded_payment_types", [])
        return {each["id"] for each in types}

    def is_over(self, now: float) -> bool:
        """Tell whether it has expired."""
        until = self.raw.get("expiration_date_to")
        return bool(self.raw.get("expires") and until and datetime.fromisoformat(until).timestamp() <= now)


class Payment(msgspec.Struct, kw_only=True):
    """A payment. `shown_as` replaces fields of the object that the API shows."""

    id: int
    method: str
    status: str
    detail: str
    amount: Decimal
    currency: str
    reference: str
    created: float
    approved: float | None = None
    refunds: list[dict[str, Any]] = []
    shown_as: dict[str, Any] = {}

    @property
    def refunded(self) -> Decimal:
        return sum((Decimal(str(each["amount"])) for each in self.refunds), Decimal())


class Account:
    """The account of one seller. `changed` gets each payment whose state changes, and the kind of change."""

    def __init__(self, seller: int, now: Now, *, is_live: bool) -> None:
        self.seller = seller
        self.is_live = is_live
        self.preferences: dict[str, Preference] = {}
        self.payments: dict[int, Payment] = {}
        self.changed: Callable[[Payment, str], None] = lambda _payment, _action: None
        self._now = now
        self._numbers = itertools.count(77)

    def __repr__(self) -> str:
        return f"<Account {len(self.preferences)} preferences, {len(self.payments)} payments>"

    def prefer(self, raw: Any) -> Preference:
        """Make a preference. Raises Refused."""
        _check_preference(raw)
        made = Preference(id=f"{self.seller}-{uuid.uuid4()}", raw=raw, created=self._now())
        self.preferences[made.id] = made
        return made

    def preference(self, id_: str) -> Preference:
        if (found := self.preferences.get(id_)) is None:
            raise Refused(404, "preference not found")
        return found

    def change_preference(self, id_: str, raw: Any) -> Preference:
        """Replace the fields of a preference that are sent. Raises Refused."""
        changed = {**self.preference(id_).raw, **(raw if isinstance(raw, dict) else {})}
        _check_preference(changed)
        self.preference(id_).raw = changed
        return self.preference(id_)

    def payment(self, id_: str) -> Payment:
        if (found := self.payments.get(int(id_) if id_.isdecimal() else 0)) is None:
            raise Refused(404, "Payment not found", 2000)
        return found

    def pay(self, preference: str, method: str = "pix", status: str = "approved") -> Payment:
        """Pay a preference, as its buyer does on the checkout page. Raises Refused."""
        chosen = self.preference(preference)
        if chosen.is_over(self._now()):
            raise Refused(400, "the preference has expired")
        if METHODS[method] in chosen.excluded:
            raise Refused(400, f"{METHODS[method]} is excluded")
        currency = chosen.raw["items"][0].get("currency_id", "BRL")
        return self._add(method, status, chosen.amount, currency, chosen.raw.get("external_reference", ""))

    def approve(self, payment: Payment) -> None:
        """End a pending payment, or a mediation that the seller won."""
        self._move(payment, "approved", "accredited")

    def fail(self, payment: Payment, status: str = "rejected") -> None:
        self._move(payment, status, _DETAILS["rejected"] if status == "rejected" else "expired")

    def refund(self, payment: Payment, amount: Decimal | None = None) -> dict[str, Any]:
        """Give a part back, or all that is left. Raises Refused."""
        left = payment.amount - payment.refunded
        back = left if amount is None else amount
        if payment.status != "approved" or not 0 < back <= left:
            raise Refused(400, "Invalid refund amount", 4040)
        made = {
            "id": next(self._numbers),
            "payment_id": payment.id,
            "amount": float(back),
            "status": "approved",
        }
        payment.refunds = [*payment.refunds, made]
        is_whole = back == left
        self._move(
            payment, "refunded" if is_whole else "approved", "refunded" if is_whole else "partially_refunded"
        )
        return made

    def mediate(self, payment: Payment) -> None:
        """The buyer complains. The money stays with the seller for now."""
        self._move(payment, "in_mediation", "pending")

    def charge_back(self, payment: Payment, detail: str = "in_process") -> None:
        """The bank takes the money back. With the detail `reimbursed` the seller has it again."""
        self._move(payment, "charged_back", detail)

    def _add(self, method: str, status: str, amount: Decimal, currency: str, reference: str) -> Payment:
        payment = Payment(
            id=next(self._numbers),
            method=method,
            status=status,
            detail=_DETAILS[status],
            amount=amount,
            currency=currency,
            reference=reference,
            created=self._now(),
            approved=self._now() if status == "approved" else None,
        )
        self.payments[payment.id] = payment
        self.changed(payment, "payment.created")
        return payment

    def _move(self, payment: Payment, status: str, detail: str) -> None:
        payment.status, payment.detail = status, detail
        if status == "approved" and payment.approved is None:
            payment.approved = self._now()
        self.changed(payment, "payment.updated")

    def shown(self, payment: Payment) -> dict[str, Any]:
        """The object as the API shows it."""
        return {
            "id": payment.id,
            "status": payment.status,
            "status_detail": payment.detail,
            "payment_method_id": payment.method,
            "payment_type_id": METHODS[payment.method],
            "transaction_amount": float(payment.amount),
            "transaction_amount_refunded": float(payment.refunded),
            "currency_id": payment.currency,
            "external_reference": payment.reference,
            "live_mode": self.is_live,
            "collector_id": self.seller,
            "date_created": moment(payment.created),
            "date_approved": None if payment.approved is None else moment(payment.approved),
            "refunds": payment.refunds,
            "metadata": {},
            "payer": {"id": "1", "email": "buyer@example.com"},
            **payment.shown_as,
        }


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _money(value: object, field: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(400, f"{field} must be a number", 4020)
    amount = Decimal(str(value))
    if amount <= 0 or amount != round(amount, 2):
        raise Refused(400, f"{field} has more than two places, or is not above 0", 4020)
    return amount


def _check_preference(raw: Any) -> None:
    items = raw.get("items") if isinstance(raw, dict) else None
    if not isinstance(items, list) or not items:
        raise Refused(400, "items needed")
    for item in items:
        if not isinstance(item.get("quantity"), int) or item["quantity"] < 1:
            raise Refused(400, "items.quantity must be 1 or more")
        _money(item.get("unit_price"), "items.unit_price")
        if item.get("currency_id", "BRL") != "BRL":
            raise Refused(400, "currency_id invalid")
    if not _REFERENCE.fullmatch(str(raw.get("external_reference", ""))):
        raise Refused(400, "external_reference is invalid")
    if raw.get("auto_return") and not raw.get("back_urls", {}).get("success"):
        raise Refused(400, "auto_return invalid. back_url.success must be defined")
