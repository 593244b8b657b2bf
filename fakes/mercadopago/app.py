"""The fake as a whole: its paths, its token, idempotency, the checkout page, and the faults that it words.

A fault named `5xx` answers with its `status`, which may be any (401, 404, 409, 423), in Mercado Pago's form
or, with the code `html`, as a gateway's page.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from fakes.mercadopago.account import METHODS, Account, Payment, Preference, Refused, moment
from fakes.mercadopago.notices import Signer
from fakes.payments import (
    KeyReused,
    Notices,
    Now,
    Replies,
    checkout_page,
    chosen_button,
    json_answer,
    refusal,
)
from fakes.provider import Provider

TOKEN = "TEST-fake-mercadopago-token"
SECRET = "fake-mercadopago-secret"
SELLER = 446566691
_LONGEST_KEY = 64
_STORED_S = 24 * 3600.0
_MOST_RESULTS = 100
_BUTTONS = {"pix": "Pix", "master": "Card", "bolbradesco": "Boleto"}

Answer = Callable[[Request, bytes], Awaitable[Response]]


class FakeMercadoPago:
    """The fake. `account` has the state, `notices` the webhooks, `provider` is its server."""

    def __init__(
        self,
        *,
        token: str = TOKEN,
        secret: str = SECRET,
        seller: int = SELLER,
        is_live: bool = False,
        webhook_url: str = "http://127.0.0.1:8000/webhooks/mercadopago",
        now: Now = time.time,
        runs: bool = False,
    ) -> None:
        self.account = Account(seller, now, is_live=is_live)
        self.account.changed = self._note
        self.signer = Signer(secret, webhook_url, seller, is_live=is_live)
        self.notices = Notices(runs=runs)
        self._token = token
        self._now = now
        self._replies = Replies(now, _STORED_S)
        self.provider = Provider(Starlette(routes=self._routes()), "/v1/payments")

    def __repr__(self) -> str:
        return f"<FakeMercadoPago {self.account!r}>"

    def _note(self, payment: Payment, action: str) -> None:
        self.notices.add(self.signer.webhook(str(payment.id), self._now(), action=action))

    def _routes(self) -> list[Route]:
        return [
            Route("/checkout/v1/redirect", self._checkout, methods=["GET", "POST"]),
            self._route("/checkout/preferences", "POST", self._prefer),
            self._route("/checkout/preferences/{id}", "GET", self._show_preference),
            self._route("/checkout/preferences/{id}", "PUT", self._change_preference),
            self._route("/v1/payments/search", "GET", self._search_payments),
            self._route("/v1/payments/{id}", "GET", self._show_payment),
            self._route("/v1/payments/{id}/refunds", "POST", self._refund),
        ]

    def _route(self, path: str, method: str, answer: Answer) -> Route:
        async def endpoint(request: Request) -> Response:
            if request.headers.get("authorization") != f"Bearer {self._token}":
                return _error(401, "invalid access token", "unauthorized")
            if (refused := refusal(request, lambda status: _error(status, "not now", "not_now"))) is not None:
                return refused
            body = await request.body()
            try:
                return await (
                    self._once(request, body, answer) if method == "POST" else answer(request, body)
                )
            except Refused as error:
                return _error(error.status, error.message, code=error.code)

        return Route(path, endpoint, methods=[method])

    async def _once(self, request: Request, body: bytes, answer: Answer) -> Response:
        key = request.headers.get("x-idempotency-key", "")
        if len(key) > _LONGEST_KEY:
            raise Refused(400, "x-idempotency-key has more than 64 characters")
        said = f"{request.url.path}\n".encode() + body
        try:
            first: Response | None = self._replies.find(key, said)
        except KeyReused:
            return _error(409, "the idempotency key was used with another body", "idempotency_key_reused")
        if first is None:
            first = await answer(request, body)
            self._replies.keep(key, said, first)
        return Response(first.body, first.status_code, media_type="application/json")

    async def _prefer(self, request: Request, body: bytes) -> Response:
        made = self.account.prefer(_json(request, body))
        return json_answer(self._shown(made, request), 201)

    async def _show_preference(self, request: Request, _body: bytes) -> Response:
        return json_answer(self._shown(self.account.preference(request.path_params["id"]), request))

    async def _change_preference(self, request: Request, body: bytes) -> Response:
        changed = self.account.change_preference(request.path_params["id"], _json(request, body))
        return json_answer(self._shown(changed, request))

    def _shown(self, preference: Preference, request: Request) -> dict[str, Any]:
        url = f"{request.base_url}checkout/v1/redirect?pref_id={preference.id}"
        return {
            **preference.raw,
            "id": preference.id,
            "collector_id": self.account.seller,
            "date_created": moment(preference.created),
            "init_point": url,
            "sandbox_init_point": url,
        }

    async def _show_payment(self, request: Request, _body: bytes) -> Response:
        return json_answer(self.account.shown(self.account.payment(request.path_params["id"])))

    async def _search_payments(self, request: Request, _body: bytes) -> Response:
        asked = request.query_params
        found = sorted(self.account.payments.values(), key=lambda each: each.created)
        if "external_reference" in asked:
            found = [each for each in found if each.reference == asked["external_reference"]]
        if asked.get("range") == "date_created":
            since = datetime.fromisoformat(asked["begin_date"]).timestamp()
            found = [each for each in found if each.created >= since]
        if asked.get("criteria", "desc") == "desc":
            found.reverse()
        offset, limit = int(asked.get("offset", "0")), int(asked.get("limit", "30"))
        if limit > _MOST_RESULTS:
            raise Refused(400, "limit must be 100 at most")
        shown = [self.account.shown(each) for each in found[offset : offset + limit]]
        paging = {"total": len(found), "limit": limit, "offset": offset}
        return json_answer({"paging": paging, "results": shown})

    async def _refund(self, request: Request, body: bytes) -> Response:
        amount = (_json(request, body) if body else {}).get("amount")
        payment = self.account.payment(request.path_params["id"])
        made = self.account.refund(payment, None if amount is None else Decimal(str(amount)))
        return json_answer(made, 201)

    async def _checkout(self, request: Request) -> Response:
        """The page that a buyer sees. Its buttons pay, and lead back to the merchant."""
        try:
            preference = self.account.preference(request.query_params.get("pref_id", ""))
            if request.method == "POST":
                method, _, status = (await chosen_button(request)).partition(":")
                payment = self.account.pay(preference.id, method, status)
                return self._back(preference, payment)
        except Refused as error:
            return checkout_page("Mercado Pago (fake)", "", (), error.message)
        ways = [(way, name) for way, name in _BUTTONS.items() if METHODS[way] not in preference.excluded]
        buttons = [(f"{way}:approved", name) for way, name in ways]
        buttons += [("pix:pending", "Pix, later"), ("master:rejected", "A card that is refused")]
        title = preference.raw["items"][0].get("title", "")
        return checkout_page(title, f"R$ {preference.amount:.2f}", buttons)

    def _back(self, preference: Preference, payment: Payment) -> Response:
        which = {"approved": "success", "rejected": "failure"}.get(payment.status, "pending")
        url = preference.raw.get("back_urls", {}).get(which)
        if not url:
            return checkout_page("Mercado Pago (fake)", "", (), f"The payment is {payment.status}.")
        facts = {"payment_id": payment.id, "status": payment.status, "external_reference": payment.reference}
        return RedirectResponse(f"{url}{'&' if '?' in url else '?'}{urlencode(facts)}", 303)


def _json(request: Request, body: bytes) -> Any:
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise Refused(415, "the content type must be application/json")
    try:
        raw = msgspec.json.decode(body)
    except msgspec.DecodeError:
        raise Refused(400, "the body is no JSON") from None
    if not isinstance(raw, dict):
        raise Refused(400, "the body is no object")
    return raw


def _error(status: int, message: str, error: str = "bad_request", *, code: int = 0) -> Response:
    cause = [{"code": code, "description": message}] if code else []
    return json_answer({"message": message, "error": error, "status": status, "cause": cause}, status)
