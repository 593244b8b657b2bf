"""Mercado Pago: Checkout Pro, its payments, and its webhooks.

Its numbers are decimal amounts; ours are whole minor units. A payment in the search index may be late, so the
object itself is read again before anything but the next search depends on it.
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
import structlog

from policies.tasks import SECOND_US
from proxy.errors import InvalidRequest
from proxy.features.payments.calls import ProviderCalls, Query, T
from proxy.features.payments.provider import (
    MOST_FETCHED_AMOUNT,
    Checkout,
    CheckoutRequest,
    FetchedPayment,
    ProviderFailed,
    ProviderWebhook,
)
from proxy.features.payments.section import MercadoPagoSection
from speech_engine.http import HttpClient

_NEVER_PAID = frozenset({"rejected", "cancelled"})
"""States that never change again, and never had money."""
_ONCE_PAID = frozenset({"refunded", "charged_back", "in_mediation"})
"""States of a payment that was paid once, if it has a date of approval."""
_MOST_DIGITS = 20
_PAGE = 100
_MOST_OFFSET = 10_000
_JSON_HEADERS = {"content-type": "application/json"}
_log = structlog.get_logger()
_encode = msgspec.json.Encoder(decimal_format="number").encode


class _Preference(msgspec.Struct):
    id: str
    init_point: str


class _Refund(msgspec.Struct):
    amount: Decimal = Decimal()
    status: str = "approved"


class _Payment(msgspec.Struct):
    id: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    status: str
    transaction_amount: Decimal
    currency_id: str
    live_mode: bool
    collector_id: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    status_detail: str | None = None
    external_reference: str | None = None
    date_approved: str | None = None
    transaction_amount_refunded: Decimal | None = None
    refunds: tuple[_Refund, ...] | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for an amount that is not finite or out of range: arithmetic with NaN raises."""
        amounts = (self.transaction_amount, self.transaction_amount_refunded or Decimal())
        for amount in (*amounts, *(each.amount for each in self.refunds or ())):
            if not (amount.is_finite() and 0 <= amount <= MOST_FETCHED_AMOUNT // 100):
                raise ValueError("an amount is out of any range")


class _ListedPayment(msgspec.Struct):
    id: int
    status: str


class _Paging(msgspec.Struct):
    total: int


class _SearchPage(msgspec.Struct):
    paging: _Paging
    results: tuple[msgspec.Raw, ...]


class MercadoPago:
    """A `Provider`. See there."""

    name = "mercadopago"

    def __init__(self, client: HttpClient, section: MercadoPagoSection) -> None:
        self.seller, self.is_live = section.seller, section.live
        headers = {"authorization": f"Bearer {section.key}"}
        self._calls = ProviderCalls(self.name, client, section.base_url, headers)
        self._secret = section.webhook_secret.encode()

    async def create_checkout(self, request: CheckoutRequest) -> Checkout:
        item = {
            "id": request.order,
            "title": request.title,
            "quantity": 1,
            "unit_price": Decimal(request.amount) / 100,
            "currency_id": request.currency,
        }
        preference: dict[str, Any] = {
            "items": [item],
            "external_reference": request.order,
            "back_urls": dict.fromkeys(("success", "pending", "failure"), request.return_url),
            # A boleto is paid days after the order's end.
            "payment_methods": {"excluded_payment_types": [{"id": "ticket"}]},
            "expires": True,
            "expiration_date_to": _iso_time(request.expires),
        }
        if request.return_url.startswith("https://"):
            preference["auto_return"] = "approved"
        headers = {**_JSON_HEADERS, "x-idempotency-key": request.order}
        created = await self._calls.change_object(
            _Preference, "/checkout/preferences", _encode(preference), headers
        )
        return Checkout(created.id, created.init_point)

    async def end_checkout(self, checkout: str, at: int) -> None:
        ended = _encode({"expires": True, "expiration_date_to": _iso_time(at)})
        path = f"/checkout/preferences/{quote(checkout, safe='')}"
        await self._calls.change_object(_Preference, path, ended, _JSON_HEADERS, "PUT")

    async def payments_of(self, order: str, checkout: str) -> list[FetchedPayment]:
        del checkout
        listed = [each async for each in self._search(_ListedPayment, {"external_reference": order})]
        payments = [
            await self.find_payment(str(each.id)) for each in listed if each.status not in _NEVER_PAID
        ]
        return [each for each in payments if each is not None]

    async def find_payment(self, object_id: str) -> FetchedPayment | None:
        if not _is_number(object_id):
            return None
        payment = await self._calls.find_object(_Payment, f"/v1/payments/{object_id}")
        return None if payment is None else _fetched(payment)

    async def payments_since(self, moment: int) -> AsyncIterator[FetchedPayment]:
        begin: Query = {"range": "date_created", "begin_date": _iso_time(moment), "end_date": "NOW"}
        async for each in self._search(_Payment, begin):
            yield _fetched(each)

    def webhook_object(self, request: ProviderWebhook) -> str | None:
        # Signed as it came, or in lower case by the documentation: an id of digits is the same in both.
        id_ = request.query.get("data.id", "").lower()
        header = request.headers.get("x-signature", "")
        parts = dict(part.strip().partition("=")[::2] for part in header.split(","))
        ts, signature = parts.get("ts", ""), parts.get("v1", "")
        pairs = (("id", id_), ("request-id", request.headers.get("x-request-id", "")), ("ts", ts))
        manifest = "".join(f"{name}:{value};" for name, value in pairs if value).encode()
        expected = hmac.digest(self._secret, manifest, "sha256").hex().encode()
        is_signed = self._secret and ts.isascii() and ts.isdecimal()
        # Its age does not count: it may be repeated for days, and only causes a look at the payment.
        if not is_signed or not hmac.compare_digest(expected, signature.encode()):
            raise InvalidRequest(
                "The signature of this event is missing or wrong.",
                param="x-signature",
                code="invalid_signature",
            )
        is_payment = request.query.get("type") == "payment" and _is_number(id_)
        return id_ if is_payment else None

    async def _search(self, type_: type[T], query: Query) -> AsyncIterator[T]:
        for offset in range(0, _MOST_OFFSET, _PAGE):
            page_query: Query = {
                **query,
                "sort": "date_created",
                "criteria": "asc",
                "limit": _PAGE,
                "offset": offset,
            }
            page = await self._calls.get_object(_SearchPage, "/v1/payments/search", page_query)
            for row in page.results:
                try:
                    yield msgspec.json.decode(row, type=type_)
                except msgspec.DecodeError as error:
                    # One bad row must not hide the others of its page.
                    _log.warning("payments.search.skipped", provider=self.name, reason=str(error))
            if not page.results or offset + _PAGE >= page.paging.total:
                return
        raise ProviderFailed(f"It lists {_MOST_OFFSET} payments at most.", is_final=True)


def _fetched(payment: _Payment) -> FetchedPayment:
    amount, refunded_total = payment.transaction_amount, payment.transaction_amount_refunded or Decimal()
    refunds_sum = sum((each.amount for each in payment.refunds or () if each.status == "approved"), Decimal())
    refunded = amount if payment.status == "refunded" else max(refunded_total, refunds_sum)
    is_held = payment.status == "charged_back" and payment.status_detail != "reimbursed"
    paid, given_back = _minor_units(amount, ROUND_FLOOR), _minor_units(refunded, ROUND_CEILING)
    return FetchedPayment(
        id=str(payment.id),
        reference=payment.external_reference or "",
        amount=paid,
        currency=payment.currency_id,
        seller=str(payment.collector_id),
        is_live=payment.live_mode,
        seller_won_dispute=payment.status == "charged_back" and not is_held,
        is_paid=payment.status == "approved"
        or (payment.status in _ONCE_PAID and payment.date_approved is not None),
        refunded=given_back,
        disputed=max(0, paid - given_back) if is_held else 0,
    )


def _minor_units(amount: Decimal, rounding: str) -> int:
    return int((amount * 100).to_integral_value(rounding))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS


def _iso_time(micros: int) -> str:
    return datetime.fromtimestamp(micros // SECOND_US, UTC).isoformat(timespec="milliseconds")
