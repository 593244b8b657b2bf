"""The offers and the providers of one revision of the configuration.

A provider needs a key and the secret of its webhooks.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

import msgspec

from policies.plans import Minutes, Plan, minutes_for_credits
from proxy.config.config_toml import Config
from proxy.config.sections import Upstream
from proxy.engines.http.upstream_http import UpstreamClient, open_http
from proxy.errors import InvalidRequest
from proxy.features.admin.accounts import default_plan
from proxy.features.payments.mercadopago import MercadoPago
from proxy.features.payments.provider import Provider
from proxy.features.payments.section import SECTION, PaymentsSection, SoldOffer
from proxy.features.payments.stripe import Stripe
from speech_engine.http import HttpAnswer, HttpClient, HttpRequest


class Sales(NamedTuple):
    """The offers, plans and providers of one revision.

    An account gets `lapsed_plan` when its paid month ends, and begins with `first_plan`. `models` are the
    candidates of `tts-1`.
    """

    section: PaymentsSection
    plans: Mapping[str, Plan]
    providers: Mapping[str, Provider]
    lapsed_plan: str
    public_url: str
    first_plan: str = ""
    models: Sequence[str] = ()

    @classmethod
    def of(cls, config: Config, providers: Mapping[str, Provider]) -> Sales:
        section = SECTION.of(config)
        # An offer whose plan is not configured is left out. `voxgate check` reports it.
        plans = {name: offer for name, offer in section.plans.items() if name in config.plans}
        section = msgspec.structs.replace(section, plans=plans)
        first_plan = default_plan(config) if config.plans else ""
        lapsed_plan, models = section.lapsed_plan or first_plan, config.models.get("tts-1", ())
        return cls(
            section, config.plans, providers, lapsed_plan, config.server.public_url, first_plan, models
        )

    def find_offer(self, kind: str, name: str, provider: str) -> SoldOffer:
        """Return what is sold under this name at this provider. Raises InvalidRequest."""
        offers = self.section.plans if kind == "plan" else self.section.packs
        offer = offers.get(name)
        if offer is None:
            message = f"No {kind} '{name[:80]}' is sold here. GET /v1/plans has what is."
            raise InvalidRequest(message, param=kind, code="offer_not_found")
        if provider not in offer.providers or provider not in self.providers:
            message = f"'{name[:80]}' is not sold at '{provider[:80]}'. GET /v1/plans has its providers."
            raise InvalidRequest(message, param="provider", code="offer_not_found")
        return offer

    def allowance_of(self, offer: SoldOffer) -> int | None:
        """Return the credits of a month of a plan.

        Return None for a pack, and for a plan without a limit or with one that is agreed for each account.
        """
        return self.plan_allowance(offer.name) if offer.kind == "plan" else None

    def plan_allowance(self, name: str) -> int | None:
        allowance = self.plans[name].allowance if name in self.plans else None
        return allowance if isinstance(allowance, int) else None

    def minutes_of(self, offer: SoldOffer) -> Minutes | None:
        """Return the minutes of speech of an offer; those of a pack are at the price of new accounts."""
        if offer.kind == "plan":
            return self.minutes_in(self.allowance_of(offer), offer.name)
        return self.minutes_in(offer.credits, self.first_plan)

    def minutes_in(self, credits: int | None, plan: str) -> Minutes | None:
        """Return the minutes of speech that these micro-credits buy on a plan. None: it cannot be said."""
        known_plan = self.plans.get(plan)
        return None if known_plan is None else minutes_for_credits(credits, known_plan, self.models)

    def with_minutes(self, text: str, credits: int | None, plan: str) -> str:
        """Return a text of a mail in any language, with these minutes behind it: `500 credits (8.3 min)`."""
        minutes = self.minutes_in(credits, plan)
        if minutes is None:
            return text
        # Rounded down, with one decimal below ten minutes.
        number = math.floor(minutes.number * 10) / 10 if minutes.number < 10 else math.floor(minutes.number)
        return f"{text} ({'≈ ' if minutes.is_about else ''}{number:g} min)"


class LazyClient:
    """The HTTP client for providers. It is opened at the first request, since most servers sell nothing."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._client: UpstreamClient | None = None
        self._stack = AsyncExitStack()

    @asynccontextmanager
    async def send(self, request: HttpRequest) -> AsyncIterator[HttpAnswer]:
        if self._client is None:
            self._client = await self._stack.enter_async_context(open_http(self._upstream))
        async with self._client.send(request) as answer:
            yield answer

    async def aclose(self) -> None:
        await self._stack.aclose()


def providers_of(section: PaymentsSection, client: HttpClient) -> dict[str, Provider]:
    """Return the providers by name.

    A provider without the secret of its webhooks is left out, since its payments would not be noticed.
    """
    found: dict[str, Provider] = {}
    if section.mercadopago.is_on:
        found["mercadopago"] = MercadoPago(client, section.mercadopago)
    if section.stripe.is_on:
        found["stripe"] = Stripe(client, section.stripe)
    return found
