"""The adapters of both providers against their fakes, over sockets."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from fakes.mercadopago.app import SECRET as MP_SECRET
from fakes.mercadopago.app import SELLER, TOKEN, FakeMercadoPago
from fakes.payments import Notices, Webhook
from fakes.provider import Provider as FakeServer
from fakes.serving import served
from fakes.stripe.app import KEY, FakeStripe
from fakes.stripe.app import SECRET as STRIPE_SECRET
from proxy.config.sections import Upstream
from proxy.engines.http.upstream_http import UpstreamClient, open_http
from proxy.features.payments.mercadopago import MercadoPago
from proxy.features.payments.provider import CheckoutRequest, Provider, ProviderWebhook
from proxy.features.payments.section import MercadoPagoSection, StripeSection
from proxy.features.payments.stripe import Stripe

NAMES = ("mercadopago", "stripe")
ORDER = "ord_1"
_EXPIRES_S = int(time.time()) + 23 * 3600


class Pair(NamedTuple):
    """An adapter and its fake."""

    adapter: Provider
    fake: Any
    server: FakeServer
    notices: Notices

    def pay(self, checkout: str) -> Any:
        return self.fake.account.pay(checkout)

    def refund(self, paid: Any, amount: int | None = None) -> None:
        if amount is None or self.adapter.name == "stripe":
            self.fake.account.refund(paid, amount)
        else:
            self.fake.account.refund(paid, Decimal(amount) / 100)

    def dispute(self, paid: Any) -> Callable[[], None]:
        """Begin a dispute, and return the function that ends it well."""
        account = self.fake.account
        if self.adapter.name == "stripe":
            made = account.dispute(paid)
            return lambda: account.close(made, "won")
        account.charge_back(paid)
        return lambda: account.charge_back(paid, "reimbursed")


def checkout_request(**changes: Any) -> CheckoutRequest:
    usual: dict[str, Any] = {
        "order": ORDER,
        "title": "500 credits",
        "amount": 2990,
        "currency": "BRL",
        "expires": _EXPIRES_S * 1_000_000,
        "return_url": "https://voxgate.example.org/orders/ord_1",
    }
    return CheckoutRequest(**usual | changes)


@asynccontextmanager
async def pair(name: str, **more: Any) -> AsyncIterator[Pair]:
    fake = FakeMercadoPago(**more) if name == "mercadopago" else FakeStripe(**more)
    async with open_http(Upstream()) as client, served(fake.provider) as at:
        yield Pair(adapter(name, client, at.url), fake, fake.provider, fake.notices)


def adapter(name: str, client: UpstreamClient, url: str, secret: str | None = None) -> Provider:
    if name == "mercadopago":
        secret = MP_SECRET if secret is None else secret
        section = MercadoPagoSection(
            access_token=TOKEN, webhook_secret=secret, base_url=url, seller=str(SELLER)
        )
        return MercadoPago(client, section)
    secret = STRIPE_SECRET if secret is None else secret
    return Stripe(client, StripeSection(secret_key=KEY, webhook_secret=secret, base_url=url))


def received(webhook: Webhook, now_s: float | None = None) -> ProviderWebhook:
    """The request as our server gets it."""
    return ProviderWebhook(
        query=dict(parse_qsl(urlsplit(webhook.url).query)),
        headers=dict(webhook.headers),
        body=webhook.body,
        now=round(1_000_000 * (time.time() if now_s is None else now_s)),
    )
