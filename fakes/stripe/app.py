"""The fake as a whole: its paths, its key, idempotency, the checkout page, and the faults that it words.

A fault named `5xx` answers with its `status`, which may be any (401, 404, 409), in Stripe's form or, with the
code `html`, as a gateway's page.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

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
from fakes.stripe.account import Account, Refused, Session
from fakes.stripe.forms import tree, values
from fakes.stripe.notices import Signer

KEY = "sk_test_fake"
SECRET = "whsec_fake-stripe-secret"
_STORED_S = 24 * 3600.0
_MOST_LISTED = 100
_KINDS = {400: "invalid_request_error", 402: "card_error", 404: "invalid_request_error"}

Form = dict[str, Any]
Answer = Callable[[Request, Form], Awaitable[Any]]


class FakeStripe:
    """The fake. `account` has the state, `notices` the webhooks, `provider` is its server."""

    def __init__(
        self,
        *,
        key: str = KEY,
        secret: str = SECRET,
        is_live: bool = False,
        webhook_url: str = "http://127.0.0.1:8000/webhooks/stripe",
        now: Now = time.time,
        runs: bool = False,
    ) -> None:
        self.account = Account(now, is_live=is_live)
        self.account.changed = self._note
        self.signer = Signer(secret, webhook_url, is_live=is_live)
        self.notices = Notices(runs=runs)
        self._key = key
        self._now = now
        self._replies = Replies(now, _STORED_S)
        self.provider = Provider(Starlette(routes=self._routes()), "/v1/")

    def __repr__(self) -> str:
        return f"<FakeStripe {self.account!r}>"

    def _note(self, type_: str, shown: dict[str, Any]) -> None:
        self.notices.add(self.signer.webhook(type_, shown, self._now()))

    def _routes(self) -> list[Route]:
        return [
            Route("/c/pay/{id}", self._checkout, methods=["GET", "POST"]),
            self._route("/v1/checkout/sessions", "POST", self._begin),
            self._route("/v1/checkout/sessions", "GET", self._list_sessions),
            self._route("/v1/checkout/sessions/{id}", "GET", self._show_session),
            self._route("/v1/checkout/sessions/{id}/expire", "POST", self._expire_session),
            self._route("/v1/payment_intents", "GET", self._list_intents),
            self._route("/v1/payment_intents/{id}", "GET", self._show_intent),
            self._route("/v1/refunds", "POST", self._refund),
            self._route("/v1/disputes", "GET", self._list_disputes),
        ]

    def _route(self, path: str, method: str, answer: Answer) -> Route:
        async def endpoint(request: Request) -> Response:
            if request.headers.get("authorization") != f"Bearer {self._key}":
                return _error(401, "Invalid API Key provided", "invalid_request_error")
            if (refused := refusal(request, lambda status: _error(status, "not now"))) is not None:
                return refused
            body = await request.body()
            try:
                if method == "GET":
                    return json_answer(await answer(request, tree(request.url.query)))
                return await self._once(request, body, answer)
            except Refused as error:
                return _error(error.status, error.message, param=error.param, code=error.code)

        return Route(path, endpoint, methods=[method])

    async def _once(self, request: Request, body: bytes, answer: Answer) -> Response:
        media_type = request.headers.get("content-type", "")
        if body and not media_type.startswith("application/x-www-form-urlencoded"):
            raise Refused(400, "Invalid request: send a form, application/x-www-form-urlencoded.")
        key, said = request.headers.get("idempotency-key", ""), f"{request.url.path}\n".encode() + body
        try:
            first = self._replies.find(key, said)
        except KeyReused:
            message = "Keys for idempotent requests can only be used with the same parameters."
            return _error(400, message, "idempotency_error")
        if first is not None:
            return json_answer(first, idempotent_replayed="true")
        made = await answer(request, tree(body.decode()))
        self._replies.keep(key, said, made)
        return json_answer(made)

    async def _begin(self, request: Request, form: Form) -> Any:
        return self._shown(self.account.begin(form), request)

    async def _show_session(self, request: Request, _form: Form) -> Any:
        return self._shown(self.account.session(request.path_params["id"]), request)

    async def _expire_session(self, request: Request, _form: Form) -> Any:
        return self._shown(self.account.end(request.path_params["id"]), request)

    async def _list_sessions(self, request: Request, form: Form) -> Any:
        wanted = form.get("payment_intent")
        found = [each for each in self.account.sessions.values() if wanted in (None, each.intent)]
        return _page([self._shown(each, request) for each in reversed(found)], form)

    def _shown(self, session: Session, request: Request) -> dict[str, Any]:
        url = f"{request.base_url}c/pay/{session.id}" if session.status == "open" else None
        return {"url": url, **self.account.shown_session(session)}

    async def _show_intent(self, request: Request, form: Form) -> Any:
        with_charge = "latest_charge" in values(form.get("expand"))
        intent = self.account.intent(request.path_params["id"])
        return self.account.shown_intent(intent, with_charge=with_charge)

    async def _list_intents(self, _request: Request, form: Form) -> Any:
        since = int(form.get("created", {}).get("gte", "0"))
        with_charge = "data.latest_charge" in values(form.get("expand"))
        found = [each for each in self.account.intents.values() if each.created >= since]
        return _page([self.account.shown_intent(e, with_charge=with_charge) for e in reversed(found)], form)

    async def _refund(self, _request: Request, form: Form) -> Any:
        amount = form.get("amount")
        intent = self.account.intent(form.get("payment_intent", ""))
        return self.account.refund(intent, None if amount is None else int(amount))

    async def _list_disputes(self, _request: Request, form: Form) -> Any:
        wanted = form.get("payment_intent")
        found = [each for each in self.account.disputes.values() if wanted in (None, each.intent)]
        return _page([self.account.shown_dispute(each) for each in reversed(found)], form)

    async def _checkout(self, request: Request) -> Response:
        """The page that a buyer sees. Its buttons pay, and lead back to the merchant."""
        try:
            session = self.account.session(request.path_params["id"])
            if request.method == "POST":
                return self._paid(session, await chosen_button(request))
        except Refused as error:
            return checkout_page("Stripe (fake)", "", (), error.message)
        if session.status != "open":
            return checkout_page("Stripe (fake)", "", (), f"The session is {session.status}.")
        buttons = (("card", "Card 4242"), ("declined", "Card 0002, declined"), ("back", "Back"))
        return checkout_page(session.title, f"{session.amount / 100:.2f} {session.currency.upper()}", buttons)

    def _paid(self, session: Session, way: str) -> Response:
        if way == "back" and session.cancel_url:
            return RedirectResponse(session.cancel_url, 303)
        if way != "card":
            return checkout_page("Stripe (fake)", "", (), "Your card was declined.")
        self.account.pay(session.id)
        return RedirectResponse(session.success_url.replace("{CHECKOUT_SESSION_ID}", session.id), 303)


def _page(shown: Sequence[dict[str, Any]], form: Form) -> dict[str, Any]:
    """A page of a list, the newest first."""
    after, limit = form.get("starting_after"), int(form.get("limit", "10"))
    if not 1 <= limit <= _MOST_LISTED:
        raise Refused(400, "limit must be between 1 and 100", param="limit")
    start = next((at + 1 for at, each in enumerate(shown) if each["id"] == after), 0)
    data = shown[start : start + limit]
    return {"object": "list", "url": "", "data": data, "has_more": start + limit < len(shown)}


def _error(status: int, message: str, kind: str = "", *, param: str = "", code: str = "") -> Response:
    found = {"type": kind or _KINDS.get(status, "api_error"), "message": message}
    found |= {name: text for name, text in (("param", param), ("code", code)) if text}
    return Response(msgspec.json.encode({"error": found}), status, media_type="application/json")
