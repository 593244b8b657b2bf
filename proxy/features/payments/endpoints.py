"""/v1/plans and /v1/orders: what is sold, and what an account has ordered. /orders/{id} leads to one.

/webhooks/PROVIDER exists while its key and secret are set. An event is a hint: a row notes its object."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from policies.plans import Terms, terms
from policies.routing import Offer, RoutingQuery, Rules, Voice, decide
from proxy.access.callers import Caller, caller_of
from proxy.api.admin_tools import AdminTools, check_open
from proxy.api.voices import VoiceTools
from proxy.api.welcome import CONSOLE_PLACE, to_console
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
from proxy.features.payments import bodies
from proxy.features.payments.offers import Sales
from proxy.features.payments.order_store import NewOrder, OrderStore
from proxy.features.payments.provider import Provider, ProviderFailed, ProviderWebhook
from proxy.features.payments.records import ORDERS
from proxy.features.payments.section import SoldOffer
from proxy.http.body import body, raw_body
from proxy.http.endpoint import Endpoint, Query, json
from proxy.http.idempotency import KEY_HEADER, read_key
from proxy.http.lists import PAGE, query_choice, table_page
from proxy.http.replies import reply
from proxy.http.resource import Resource, endpoint
from proxy.storage.store import Store

_RETRY_S = 5.0
_WARNINGS = Query("warnings", "`true` says what paying for an open order changes besides.", ("true",))
_MOST_VOICES = 200
_MOST_NAMED = 5
_MOST_WEBHOOK_BYTES = 256 * 1024
_PROVIDERS = {"mercadopago": "Mercado Pago", "stripe": "Stripe"}

Note = Callable[[str, str], Awaitable[None]]
"""Notes that webhooks of a provider named an object: a task asks the provider about it."""


class Offers(Resource):
    """What one revision of the configuration sells."""

    def __init__(self, sales: Sales) -> None:
        self._sales = sales

    @endpoint("GET", "/v1/plans", bodies.OfferList, access="open")
    async def list_offers(self, _request: Request) -> Response:
        """The plans and packs that are sold, with their prices"""
        offers = self._sales.section.offers
        return reply(bodies.OfferList(data=[bodies.shown_offer(each, self._sales) for each in offers]))


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
        new, caller = await body(request, bodies.NewOrderBody), caller_of(request.scope)
        offer = self._offer(new)
        account = await self._admin_tools.account(caller.account)
        check_open(account)
        warnings = await self._warnings(caller, offer.kind, offer.name)
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
        payments = await self._orders.payments_of(order.id)
        shown = bodies.shown_order(order, await self._admin_tools.store.now(), payments, warnings)
        return reply(shown, 201)

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
        now = await store.now()
        listed = await table_page(request, ORDERS, store, caller_of(request.scope).account)
        return await listed.list_response(bodies.OrderList, lambda row: bodies.shown_order(row, now))

    @endpoint(
        "GET",
        "/v1/orders/{id}",
        bodies.ShownOrder,
        access="session",
        queries=(_WARNINGS,),
        failures=(InvalidRequest, NotFound),
    )
    async def get_order(self, request: Request) -> Response:
        """One order with its payments. A look has its provider asked, every ten seconds at most"""
        caller, now = caller_of(request.scope), await self._admin_tools.store.now()
        order = await self._orders.find_order(caller.account, request.path_params["id"])
        await self._orders.look(order)
        payments = await self._orders.payments_of(order.id)
        # Warnings compare the account's voices with the models of a plan, and a page asks again and again.
        is_wanted = query_choice(request, _WARNINGS) == "true" and order.state_at(now) == "open"
        warnings = await self._warnings(caller, order.kind, order.offer) if is_wanted else []
        return reply(bodies.shown_order(order, now, payments, warnings))

    @endpoint("GET", "/orders/{id}", status=303, headers=CONSOLE_PLACE, access="open")
    async def show_order_page(self, request: Request) -> Response:
        """Leads a buyer from the provider to the order in the console, without what the provider adds"""
        return to_console(request, f"#/orders/{quote(request.path_params['id'], safe='')}")

    def _offer(self, new: bodies.NewOrderBody) -> SoldOffer:
        if (new.plan is None) == (new.pack is None):
            raise InvalidRequest("Send either 'plan' or 'pack'.", param="plan", code="invalid_value")
        kind, name = ("plan", new.plan) if new.plan is not None else ("pack", new.pack)
        return self._sales.find_offer(kind, name or "", new.provider)

    async def _warnings(self, caller: Caller, kind: str, name: str) -> list[str]:
        """Say what paying for an offer changes besides, before anything is paid."""
        found = [await self._silenced(caller, name if kind == "plan" else caller.plan)]
        if kind == "plan" and (carried := await self._orders.carried(caller.account, name)):
            account = await self._admin_tools.account(caller.account)
            found.append(
                f"The month of your plan '{account.plan}' ends when you pay: what is left of it, now "
                f"{credits.number(carried):g} credits, becomes granted credits."
            )
        return [each for each in found if each]

    async def _silenced(self, caller: Caller, plan_after: str) -> str:
        plan = self._sales.plans.get(plan_after)
        if self._voices is None or plan is None or caller.has_paid:
            return ""
        try:
            before = self._voices.plans.terms(caller)
        except NotAllowed:
            # Nothing speaks now.
            return ""
        after = terms(plan, caller.agreed, caller.caps, has_paid=True)
        own = (await self._voices.library.get(caller.account)).own.listed
        language = self._admin_tools.config.server.default_language
        # Each voice is compared with each model.
        return await asyncio.to_thread(_silenced_voices, own, self._voices.catalogue, before, after, language)


class Received(msgspec.Struct, frozen=True, kw_only=True):
    received: bool = True


def webhook_endpoints(providers: Iterable[Provider], store: Store, note: Note) -> list[Endpoint]:
    return [
        Endpoint(
            "POST",
            f"/webhooks/{each.name}",
            partial(_receive, each, store, note),
            f"receive_{each.name}_event",
            f"{_PROVIDERS[each.name]} says that a payment has changed",
            json(Received),
            access="open",
            failures=(InvalidRequest, RequestTimeout, RequestTooLarge, RateLimited),
            pace="webhook",
        )
        for each in providers
    ]


async def _receive(provider: Provider, store: Store, note: Note, request: Request) -> Response:
    body = await raw_body(request, _MOST_WEBHOOK_BYTES)
    webhook = ProviderWebhook(body, request.query_params, request.headers, await store.now())
    object_id = provider.event(webhook)
    if object_id is not None:
        await note(provider.name, object_id)
    return reply(Received())


def _silenced_voices(
    voices: Sequence[Voice], catalogue: Catalogue, before: Terms, after: Terms, language: str
) -> str:
    """Return a sentence with the names of these voices, "" if there are none. It may take a while."""

    def can_speak(voice: Voice, terms: Terms) -> bool:
        offer = Offer(models=tuple(catalogue.list_models(terms)[1]))
        query = RoutingQuery(language=voice.language or language, source="default")
        return bool(offer.models and decide(offer, voice, query, terms, Rules(catalogue.licences)).candidates)

    some = voices[:_MOST_VOICES]
    lost = [voice.name for voice in some if can_speak(voice, before) and not can_speak(voice, after)]
    if not lost:
        return ""
    more = f" and {len(lost) - _MOST_NAMED} more" if len(lost) > _MOST_NAMED else ""
    names = ", ".join(lost[:_MOST_NAMED])
    return f"After a first payment these voices cannot speak, as their models forbid paid use: {names}{more}."
