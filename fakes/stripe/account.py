"""The merchant's account at the fake: checkout sessions, payment intents, charges and disputes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import msgspec

from fakes.payments import Now
from fakes.stripe.forms import values

_SHORTEST_S, _LONGEST_S = 30 * 60, 24 * 3600
_LATE_S = 60
"""Stripe compares with its own clock, and so does the fake, with some patience."""


class Refused(Exception):
    """A request is refused with this status. `param` names the field."""

    def __init__(self, status: int, message: str, *, param: str = "", code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code


class Session(msgspec.Struct, kw_only=True):
    """A checkout session."""

    id: str
    amount: int
    currency: str
    title: str
    reference: str
    methods: list[str]
    success_url: str
    cancel_url: str
    created: int
    expires: int
    status: str = "open"
    payment_status: str = "unpaid"
    intent: str | None = None
    shown_as: dict[str, Any] = {}


class Intent(msgspec.Struct, kw_only=True):
    """A payment intent with its charge. `shown_as` replaces fields of the object that the API shows."""

    id: str
    session: str
    amount: int
    currency: str
    created: int
    status: str
    refunded: int = 0
    disputed: bool = False
    shown_as: dict[str, Any] = {}

    @property
    def charge(self) -> str:
        return f"ch_{self.id.removeprefix('pi_')}"


class Dispute(msgspec.Struct, kw_only=True):
    id: str
    intent: str
    amount: int
    status: str
    created: int


class Account:
    """The account. `changed` gets the type of each event and its object."""

    def __init__(self, now: Now, *, is_live: bool) -> None:
        self.is_live = is_live
        self.sessions: dict[str, Session] = {}
        self.intents: dict[str, Intent] = {}
        self.disputes: dict[str, Dispute] = {}
        self.changed: Callable[[str, dict[str, Any]], None] = lambda _type, _object: None
        self._now = now
        self._numbers = itertools.count(1)

    def __repr__(self) -> str:
        return f"<Account {len(self.sessions)} sessions, {len(self.intents)} intents>"

    def begin(self, form: dict[str, Any]) -> Session:
        """Make a checkout session. Raises Refused."""
        if form.get("mode") != "payment":
            raise Refused(400, "Missing required param: mode.", param="mode")
        items, now = values(form.get("line_items")), int(self._now())
        if not items:
            raise Refused(400, "Missing required param: line_items.", param="line_items")
        prices = [each.get("price_data", {}) for each in items]
        amount = sum(
            _whole(price.get("unit_amount"), "unit_amount") * _whole(item.get("quantity"), "quantity")
            for price, item in zip(prices, items, strict=True)
        )
        expires = _whole(form.get("expires_at", str(now + _LONGEST_S)), "expires_at")
        if not now + _SHORTEST_S - _LATE_S <= expires <= now + _LONGEST_S + _LATE_S:
            raise Refused(
                400, "expires_at must be between 30 minutes and 24 hours from now.", param="expires_at"
            )
        if not form.get("success_url"):
            raise Refused(400, "Missing required param: success_url.", param="success_url")
        made = Session(
            id=self._id("cs_test_"),
            amount=amount,
            currency=prices[0].get("currency", ""),
            title=prices[0].get("product_data", {}).get("name", ""),
            reference=form.get("client_reference_id", ""),
            methods=values(form.get("payment_method_types")) or ["card"],
            success_url=form["success_url"],
            cancel_url=form.get("cancel_url", ""),
            created=now,
            expires=expires,
        )
        self.sessions[made.id] = made
        return made

    def session(self, id_: str) -> Session:
        if (found := self.sessions.get(id_)) is None:
            raise _missing("checkout.session", id_)
        if found.status == "open" and found.expires <= self._now():
            self.expire(found)
        return found

    def intent(self, id_: str) -> Intent:
        if (found := self.intents.get(id_)) is None:
            raise _missing("payment_intent", id_)
        return found

    def expire(self, session: Session) -> None:
        session.status = "expired"
        self.changed("checkout.session.expired", self.shown_session(session))

    def end(self, id_: str) -> Session:
        """Expire a session for its merchant. Raises Refused."""
        chosen = self.session(id_)
        if chosen.status != "open":
            raise Refused(
                400,
                f'Only Checkout Sessions with a status in ["open"] can be expired. {id_} is {chosen.status}.',
            )
        self.expire(chosen)
        return chosen

    def pay(self, session: str, *, is_late: bool = False) -> Intent:
        """Pay a session, as its buyer does. A late payment is made by `settle`. Raises Refused."""
        chosen = self.session(session)
        if chosen.status != "open":
            raise Refused(400, f"The session is {chosen.status}.")
        intent = Intent(
            id=self._id("pi_"),
            session=chosen.id,
            amount=chosen.amount,
            currency=chosen.currency,
            created=int(self._now()),
            status="processing" if is_late else "succeeded",
        )
        self.intents[intent.id] = intent
        chosen.status, chosen.intent = "complete", intent.id
        chosen.payment_status = "unpaid" if is_late else "paid"
        self.changed("checkout.session.completed", self.shown_session(chosen))
        return intent

    def settle(self, intent: Intent, *, is_paid: bool = True) -> None:
        """End a late payment."""
        session = self.sessions[intent.session]
        intent.status = "succeeded" if is_paid else "requires_payment_method"
        session.payment_status = "paid" if is_paid else "unpaid"
        ended = "async_payment_succeeded" if is_paid else "async_payment_failed"
        self.changed(f"checkout.session.{ended}", self.shown_session(session))

    def refund(self, intent: Intent, amount: int | None = None) -> dict[str, Any]:
        """Give a part back, or all that is left. Raises Refused."""
        left = intent.amount - intent.refunded
        back = left if amount is None else amount
        if intent.status != "succeeded" or not 0 < back <= left:
            raise Refused(400, "Refund amount is greater than unrefunded amount on charge.", param="amount")
        intent.refunded += back
        self.changed("charge.refunded", self.shown_charge(intent))
        return {
            "id": self._id("re_"),
            "object": "refund",
            "amount": back,
            "currency": intent.currency,
            "payment_intent": intent.id,
            "charge": intent.charge,
            "status": "succeeded",
        }

    def fail_refund(self, intent: Intent) -> None:
        """The bank sends all refunds of a charge back, days later: what was given back is here again."""
        intent.refunded = 0
        failed = {"id": self._id("re_"), "object": "refund", "status": "failed", "payment_intent": intent.id}
        self.changed("charge.refund.updated", failed)

    def dispute(self, intent: Intent, amount: int | None = None, status: str = "needs_response") -> Dispute:
        """The bank takes the money back, for now."""
        made = Dispute(
            id=self._id("du_"),
            intent=intent.id,
            amount=intent.amount - intent.refunded if amount is None else amount,
            status=status,
            created=int(self._now()),
        )
        self.disputes[made.id] = made
        intent.disputed = True
        self.changed("charge.dispute.created", self.shown_dispute(made))
        return made

    def close(self, dispute: Dispute, status: str) -> None:
        """End a dispute: `won`, `lost` or `warning_closed`."""
        dispute.status = status
        self.changed("charge.dispute.closed", self.shown_dispute(dispute))

    def shown_session(self, session: Session) -> dict[str, Any]:
        return {
            "id": session.id,
            "object": "checkout.session",
            "mode": "payment",
            "status": session.status,
            "payment_status": session.payment_status,
            "amount_total": session.amount,
            "currency": session.currency,
            "client_reference_id": session.reference or None,
            "payment_intent": session.intent,
            "payment_method_types": session.methods,
            "livemode": self.is_live,
            "created": session.created,
            "expires_at": session.expires,
            **session.shown_as,
        }

    def shown_intent(self, intent: Intent, *, with_charge: bool = False) -> dict[str, Any]:
        is_paid = intent.status == "succeeded"
        charge = self.shown_charge(intent) if with_charge else intent.charge
        return {
            "id": intent.id,
            "object": "payment_intent",
            "amount": intent.amount,
            "amount_received": intent.amount if is_paid else 0,
            "currency": intent.currency,
            "status": intent.status,
            "livemode": self.is_live,
            "created": intent.created,
            "latest_charge": charge if is_paid else None,
            **intent.shown_as,
        }

    def shown_charge(self, intent: Intent) -> dict[str, Any]:
        return {
            "id": intent.charge,
            "object": "charge",
            "amount": intent.amount,
            "amount_refunded": intent.refunded,
            "refunded": intent.refunded == intent.amount,
            "disputed": intent.disputed,
            "currency": intent.currency,
            "payment_intent": intent.id,
            "livemode": self.is_live,
            "created": intent.created,
        }

    def shown_dispute(self, dispute: Dispute) -> dict[str, Any]:
        intent = self.intents[dispute.intent]
        return {
            "id": dispute.id,
            "object": "dispute",
            "amount": dispute.amount,
            "currency": intent.currency,
            "charge": intent.charge,
            "payment_intent": intent.id,
            "status": dispute.status,
            "livemode": self.is_live,
            "created": dispute.created,
        }

    def _id(self, prefix: str) -> str:
        return f"{prefix}{next(self._numbers):024d}"


def _whole(text: object, param: str) -> int:
    if not isinstance(text, str) or not text.isdecimal() or not int(text):
        raise Refused(400, f"Invalid integer: {text}", param=param, code="parameter_invalid_integer")
    return int(text)


def _missing(kind: str, id_: str) -> Refused:
    return Refused(404, f"No such {kind}: '{id_}'", param="id", code="resource_missing")
