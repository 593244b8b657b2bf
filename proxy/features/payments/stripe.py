"""Stripe: Checkout, its payment intents and disputes, and its webhooks.

A payment is a payment intent. Its order is in the checkout session that led to it.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import AsyncIterator
from urllib.parse import quote, urlencode

import msgspec

from policies.tasks import SECOND_US
from proxy.errors import InvalidRequest
from proxy.features.payments.calls import ProviderCalls, Query
from proxy.features.payments.provider import (
    Checkout,
    CheckoutRequest,
    FetchedPayment,
    Minor,
    ProviderFailed,
    ProviderWebhook,
)
from proxy.features.payments.section import StripeSection
from speech_engine.http import HttpClient

VERSION = "2026-10-28.endive"
_TOLERANCE_US = 300 * SECOND_US
_HELD_STATES = frozenset({"needs_response", "under_review", "lost"})
"""The states of a dispute in which the bank has the money. An inquiry (`warning_…`) takes none."""
_OBJECT_ID = re.compile(r"(pi|cs)_[A-Za-z0-9_]{1,200}", re.ASCII)
_PAGE = 100
_MOST_PAGES = 100
_FORM_HEADERS = {"content-type": "application/x-www-form-urlencoded"}


class _Session(msgspec.Struct):
    id: str
    status: str | None = None
    url: str | None = None
    client_reference_id: str | None = None
    payment_intent: str | None = None


class _Sessions(msgspec.Struct):
    data: tuple[_Session, ...]


class _Charge(msgspec.Struct):
    amount_refunded: Minor = 0
    disputed: bool = False


class _Intent(msgspec.Struct):
    id: str
    status: str
    amount: Minor
    amount_received: Minor
    currency: str
    livemode: bool
    latest_charge: _Charge | None = None


class _Intents(msgspec.Struct):
    data: tuple[_Intent, ...]
    has_more: bool


class _Dispute(msgspec.Struct):
    id: str
    amount: Minor
    status: str


class _Disputes(msgspec.Struct):
    data: tuple[_Dispute, ...]


class _EventObject(msgspec.Struct):
    id: str = ""
    object: str = ""
    payment_intent: str | None = None


class _EventData(msgspec.Struct):
    object: _EventObject


class _Event(msgspec.Struct):
    type: str
    data: _EventData


class Stripe:
    """A `Provider`. See there. Its key is of one account, which is the seller."""

    name = "stripe"
    seller = ""

    def __init__(self, client: HttpClient, section: StripeSection) -> None:
        self.is_live = section.live
        headers = {"authorization": f"Bearer {section.key}", "stripe-version": VERSION}
        self._calls = ProviderCalls(self.name, client, section.base_url, headers)
        self._secret = section.webhook_secret.encode()

    async def create_checkout(self, request: CheckoutRequest) -> Checkout:
        price = "line_items[0][price_data]"
        form = {
            "mode": "payment",
            "line_items[0][quantity]": 1,
            f"{price}[currency]": request.currency.lower(),
            f"{price}[unit_amount]": request.amount,
            f"{price}[product_data][name]": request.title,
            # Other ways to pay may end days after the order.
            "payment_method_types[0]": "card",
            "client_reference_id": request.order,
            "success_url": request.return_url,
            "cancel_url": request.return_url,
            "expires_at": request.expires // SECOND_US,
        }
        headers = {**_FORM_HEADERS, "idempotency-key": request.order}
        session = await self._calls.change_object(
            _Session, "/v1/checkout/sessions", urlencode(form).encode(), headers
        )
        if not session.url:
            raise ProviderFailed("Its checkout is over already.", is_final=True)
        return Checkout(session.id, session.url)

    async def end_checkout(self, checkout: str, at: int) -> None:
        del at
        path = f"/v1/checkout/sessions/{quote(checkout, safe='')}"
        # Stripe refuses to end a session that is over: it was paid, or is ended already.
        if (await self._calls.get_object(_Session, path)).status == "open":
            headers = {**_FORM_HEADERS, "idempotency-key": f"end-{checkout}"}
            await self._calls.change_object(_Session, f"{path}/expire", b"", headers)

    async def payments_of(self, order: str, checkout: str) -> list[FetchedPayment]:
        del order
        payment = await self.find_payment(checkout) if checkout else None
        return [] if payment is None else [payment]

    async def find_payment(self, object_id: str) -> FetchedPayment | None:
        if not _OBJECT_ID.fullmatch(object_id):
            return None
        if object_id.startswith("cs_"):
            session = await self._calls.find_object(_Session, f"/v1/checkout/sessions/{object_id}")
            intent_id = None if session is None else session.payment_intent
            return await self.find_payment(intent_id) if intent_id and intent_id.startswith("pi_") else None
        expanded = {"expand[]": "latest_charge"}
        intent = await self._calls.find_object(_Intent, f"/v1/payment_intents/{object_id}", expanded)
        return None if intent is None else await self._fetched(intent)

    async def payments_since(self, moment: int) -> AsyncIterator[FetchedPayment]:
        query: Query = {"created[gte]": moment // SECOND_US, "limit": _PAGE, "expand[]": "data.latest_charge"}
        for _ in range(_MOST_PAGES):
            page = await self._calls.get_object(_Intents, "/v1/payment_intents", query)
            for intent in page.data:
                if intent.status == "succeeded":
                    yield await self._fetched(intent)
            if not page.has_more or not page.data:
                return
            query = {**query, "starting_after": page.data[-1].id}
        raise ProviderFailed(f"More than {_MOST_PAGES * _PAGE} payments were not compared.", is_final=True)

    def webhook_object(self, request: ProviderWebhook) -> str | None:
        self._check_signature(request)
        try:
            event = msgspec.json.decode(request.body, type=_Event)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        named = event.data.object
        is_session = event.type.startswith("checkout.session.")
        if not is_session and not event.type.startswith(("charge.", "payment_intent.")):
            return None
        own_id = named.id if named.object in ("checkout.session", "payment_intent") else ""
        id_ = named.payment_intent or own_id
        return id_ if _OBJECT_ID.fullmatch(id_) else None

    def _check_signature(self, request: ProviderWebhook) -> None:
        parts = [part.partition("=") for part in request.headers.get("stripe-signature", "").split(",")]
        timestamp = next((value for name, _, value in parts if name == "t"), "")
        is_number = timestamp.isascii() and timestamp.isdecimal() and len(timestamp) < 12
        is_in_time = is_number and abs(request.now - int(timestamp) * SECOND_US) <= _TOLERANCE_US
        expected = hmac.digest(self._secret, f"{timestamp}.".encode() + request.body, "sha256").hex().encode()
        # While its secret is changed, an event has two signatures.
        signatures = [value.encode() for name, _, value in parts if name == "v1"]
        is_signed = any(hmac.compare_digest(expected, each) for each in signatures)
        if not (self._secret and is_in_time and is_signed):
            raise InvalidRequest(
                "The signature of this event is missing, wrong, or of another time.",
                param="stripe-signature",
                code="invalid_signature",
            )

    async def _fetched(self, intent: _Intent) -> FetchedPayment:
        of_intent: Query = {"payment_intent": intent.id, "limit": 1}
        sessions = await self._calls.get_object(_Sessions, "/v1/checkout/sessions", of_intent)
        charge = intent.latest_charge or _Charge()
        is_paid = intent.status == "succeeded"
        amount = intent.amount_received if is_paid else intent.amount
        held_amount, seller_won_dispute = 0, False
        if charge.disputed:
            disputes = await self._calls.get_object(_Disputes, "/v1/disputes", {**of_intent, "limit": _PAGE})
            held_amount = sum(each.amount for each in disputes.data if each.status in _HELD_STATES)
            seller_won_dispute = any(each.status == "won" for each in disputes.data)
        own_sessions = [each for each in sessions.data if each.payment_intent == intent.id]
        return FetchedPayment(
            id=intent.id,
            reference=(own_sessions[0].client_reference_id or "") if own_sessions else "",
            amount=amount,
            currency=intent.currency.upper(),
            seller=self.seller,
            is_live=intent.livemode,
            is_paid=is_paid,
            refunded=charge.amount_refunded,
            disputed=max(0, min(held_amount, amount - charge.amount_refunded)),
            seller_won_dispute=seller_won_dispute,
        )
