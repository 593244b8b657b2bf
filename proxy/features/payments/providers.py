"""The providers of one revision of the configuration: those with a key and a secret."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from proxy.config.sections import Upstream
from proxy.engines.upstream_http import UpstreamClient, open_http
from proxy.features.payments.mercadopago import MercadoPago
from proxy.features.payments.provider import Provider
from proxy.features.payments.section import PaymentsSection
from proxy.features.payments.stripe import Stripe
from speech_engine.http import HttpAnswer, HttpClient, HttpRequest


class LateClient:
    """A client of providers, opened at its first request: most servers sell nothing."""

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
    """Return the providers by name. One without a secret for its webhooks could be paid and never say so."""
    found: list[Provider] = []
    if (one := section.mercadopago).is_on:
        found.append(
            MercadoPago(
                client, one.base_url, one.access_token, one.webhook_secret, one.seller, is_live=one.live
            )
        )
    if (other := section.stripe).is_on:
        found.append(
            Stripe(client, other.base_url, other.secret_key, other.webhook_secret, is_live=other.live)
        )
    return {each.name: each for each in found}
