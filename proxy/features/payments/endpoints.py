"""/v1/plans and /v1/orders: what is sold, and what an account has ordered. /orders/{id} leads to the console.

/webhooks/PROVIDER exists while its key and secret are set. A webhook only notes the id of a payment to
fetch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from policies.plans import Terms, build_terms
from policies.routing import Offer, RoutingQuery, Rules, Voice, decide
from proxy.access.callers import Caller, caller_of
from proxy.api.admin_tools import AdminTools, check_open
from proxy.catalogue.catalogue import Catalogue
from proxy.config import credits
from proxy.errors import (
    Conflict,
    IdempotencyKeyReused,
    InvalidRequest,
    NotAllowed,
    NotFound,
    RateLimited,
    RequestTimeout,
    RequestTooLarge,
    UpstreamFailed,
)
from proxy.features.pages.console_redirect import CONSOLE_LOCATION, redirect_to_console
from proxy.features.payments import bodies
from proxy.features.payments.offers import Sales
from proxy.features.payments.order_store import NewOrder, OrderStore
from proxy.features.payments.provider import Provider, ProviderFailed, ProviderWebhook
from proxy.features.payments.records import ORDERS, OrderRecord
from proxy.features.payments.section import SoldOffer
from proxy.features.voice_list.voices import VoiceTools
from proxy.http.body import read_body, read_raw_body
from proxy.http.endpoint import Endpoint, Query, json_answer
from proxy.http.idempotency import KEY_HEADER, read_key
from proxy.http.lists import PAGE, query_choice, read_table_page
from proxy.http.replies import reply
from proxy.http.resource import Resource, endpoint
from proxy.storage.store import Store

_RETRY_S = 5.0
_CHANGES = Query("changes", "`true` says what paying for an open order changes besides.", ("true",))
_MOST_VOICES = 200
_MOST_WEBHOOK_BYTES = 256 * 1024
_PROVIDER_NAMES = {"mercadopago": "Mercado Pago", "stripe": "Stripe"}

NoteWebhook = Callable[[str, str], Awaitable[None]]
"""Notes that webhooks of a provider named an object: a task asks the provider about it."""


class Offers(Resource):
    """What one revision of the configuration sells."""

    def __init__(self, sales: Sales) -> None:
        self._sales = sales

    @endpoint("GET", "/v1/plans", bodies.OfferList, access="open")
    async def list_offers(self, _request: Request) -> Response:
        """The plans and packs that are sold, with their prices"""
        data = [bodies.shown_offer(each, self._sales) for each in self._sales.section.offers]
        return reply(bodies.OfferList(data=data, start=bodies.shown_start(self._sales)))


class Orders(Resource):
    """The orders of the account of a person who has signed in."""

    def __init__(
        self, admin_tools: AdminTools, orders: OrderStore, sales: Sales, voices: VoiceTools | None
    ) -> None:
        self._admin_tools = admin_tools
        self._orders = orders
        self._sales = sales
        self._voices = voices

    @endpoint(
        "POST",
        "/v1/orders",
        bodies.ShownOrder,
        status=201,
        access="session",
        body=bodies.NewOrderBody,
        request_headers=(KEY_HEADER,),
        failures=(NotAllowed, Conflict, IdempotencyKeyReused, UpstreamFailed),
    )
    async def create_order(self, request: Request) -> Response:
        """Order a month of a plan, or a pack of credits, and get the page of the provider where it is paid"""
        key = read_key(request.headers.getlist("idempotency-key"))
        new, caller = await read_body(request, bodies.NewOrderBody), caller_of(request.scope)
        offer = self._find_offer(new)
        account = await self._admin_tools.find_account(caller.account)
        check_open(account)
        changes = await self._changes(caller, offer.kind, offer.name)
        act = await self._admin_tools.audit_row(request, "order.created", "", account.id)
        order = await self._orders.commit_order(account, NewOrder(offer, new.provider, key), act)
        try:
            order = await self._orders.with_checkout(order)
        except ProviderFailed as error:
            raise UpstreamFailed(
                "The provider of payments does not answer as it should. Nothing was paid; try again later.",
                code="provider_unavailable",
                retry_after_s=max(_RETRY_S, error.retry_after_s),
            ) from error
        return reply(await self._shown_order(order, changes), 201)

    @endpoint(
        "GET",
        "/v1/orders",
        bodies.OrderList,
        access="session",
        queries=PAGE,
        failures=(InvalidRequest,),
        pace="list",
    )
    async def list_orders(self, request: Request) -> Response:
        """The account's orders, the newest first"""
        store = self._admin_tools.store
        now, account = await store.now(), caller_of(request.scope).account
        months = await self._orders.month_spans(account)
        listed = await read_table_page(request, ORDERS, store, account)
        return await listed.list_response(
            bodies.OrderList, lambda row: bodies.shown_order(row, now, month=months.get(row.id))
        )

    @endpoint(
        "GET",
        "/v1/orders/{id}",
        bodies.ShownOrder,
        access="session",
        queries=(_CHANGES,),
        failures=(InvalidRequest, NotFound),
    )
    async def get_order(self, request: Request) -> Response:
        """One order with its payments. A look has its provider asked, every ten seconds at most"""
        caller, now = caller_of(request.scope), await self._admin_tools.store.now()
        order = await self._orders.find_order(caller.account, request.path_params["id"])
        await self._orders.note_look(order)
        # The account's voices are compared with the models of a plan, and a page asks again and again.
        is_wanted = query_choice(request, _CHANGES) == "true" and order.state_at(now) == "open"
        changes = await self._changes(caller, order.kind, order.offer) if is_wanted else bodies.NO_CHANGES
        return reply(await self._shown_order(order, changes))

    @endpoint(
        "POST", "/v1/orders/{id}/cancel", bodies.ShownOrder, access="session", failures=(NotFound, Conflict)
    )
    async def cancel_order(self, request: Request) -> Response:
        """Cancel an open order. Money that was on its way counts, as after an expiry"""
        caller = caller_of(request.scope)
        order = await self._orders.find_order(caller.account, request.path_params["id"])
        act = await self._admin_tools.audit_row(request, "order.cancelled", order.id, order.account)
        return reply(await self._shown_order(await self._orders.cancel_order(order, act)))

    @endpoint("GET", "/orders/{id}", status=303, headers=CONSOLE_LOCATION, access="open")
    async def show_order_page(self, request: Request) -> Response:
        """Leads a buyer from the provider to the order in the console, without what the provider adds"""
        return redirect_to_console(request, f"#/orders/{quote(request.path_params['id'], safe='')}/back")

    def _find_offer(self, new: bodies.NewOrderBody) -> SoldOffer:
        if (new.plan is None) == (new.pack is None):
            raise InvalidRequest("Send either 'plan' or 'pack'.", param="plan", code="invalid_value")
        kind, name = ("plan", new.plan) if new.plan is not None else ("pack", new.pack)
        return self._sales.find_offer(kind, name or "", new.provider)

    async def _shown_order(
        self, order: OrderRecord, changes: bodies.Changes = bodies.NO_CHANGES
    ) -> bodies.ShownOrder:
        months = await self._orders.month_spans(order.account)
        payments, now = await self._orders.payments_of(order.id), await self._admin_tools.store.now()
        return bodies.shown_order(order, now, month=months.get(order.id), payments=payments, changes=changes)

    async def _changes(self, caller: Caller, kind: str, name: str) -> bodies.Changes:
        silenced = await self._silenced(caller, name if kind == "plan" else caller.plan)
        ending = await self._orders.ending_plan(caller.account, name) if kind == "plan" else None
        if ending is None:
            return bodies.Changes(silenced=silenced)
        minutes = self._sales.minutes_in(ending.credits, name)
        ends = bodies.EndedMonth(
            plan=ending.plan, credits=credits.to_credits(ending.credits), minutes=minutes
        )
        return bodies.Changes(ends, silenced)

    async def _silenced(self, caller: Caller, plan_after: str) -> list[str]:
        """Return the names of the voices that speak now, and will not. Only a first payment silences any."""
        plan = self._sales.plans.get(plan_after)
        if self._voices is None or plan is None or caller.has_paid:
            return []
        try:
            terms_now = self._voices.plans.terms(caller)
        except NotAllowed:
            # Nothing speaks now.
            return []
        terms_after = build_terms(plan, caller.agreed, caller.caps, has_paid=True)
        voices = (await self._voices.library.get(caller.account)).own.listed
        language = self._admin_tools.config.server.default_language
        # Each voice is compared with each model.
        return await asyncio.to_thread(
            _silenced_voices, voices, self._voices.catalogue, terms_now, terms_after, language
        )


class Received(msgspec.Struct, frozen=True, kw_only=True):
    received: bool = True


def webhook_endpoints(providers: Iterable[Provider], store: Store, note: NoteWebhook) -> list[Endpoint]:
    return [
        Endpoint(
            "POST",
            f"/webhooks/{each.name}",
            partial(_receive_webhook, each, store, note),
            f"receive_{each.name}_event",
            f"{_PROVIDER_NAMES[each.name]} says that a payment has changed",
            json_answer(Received),
            access="open",
            failures=(InvalidRequest, RequestTimeout, RequestTooLarge, RateLimited),
            pace="webhook",
        )
        for each in providers
    ]


async def _receive_webhook(provider: Provider, store: Store, note: NoteWebhook, request: Request) -> Response:
    body = await read_raw_body(request, _MOST_WEBHOOK_BYTES)
    webhook = ProviderWebhook(body, request.query_params, request.headers, await store.now())
    object_id = provider.webhook_object(webhook)
    if object_id is not None:
        await note(provider.name, object_id)
    return reply(Received())


def _silenced_voices(
    voices: Sequence[Voice], catalogue: Catalogue, before: Terms, after: Terms, language: str
) -> list[str]:
    """Return the names of the voices that could speak before, and cannot after. It may take a while."""

    def can_speak(voice: Voice, terms: Terms) -> bool:
        offer = Offer(models=tuple(catalogue.usable_models(terms)))
        query = RoutingQuery(language=voice.language or language, source="default")
        return bool(offer.models and decide(offer, voice, query, terms, Rules(catalogue.licences)).candidates)

    compared = voices[:_MOST_VOICES]
    return [voice.name for voice in compared if can_speak(voice, before) and not can_speak(voice, after)]
