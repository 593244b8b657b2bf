"""/webhooks/PROVIDER: a provider says that something about a payment has changed.

The path of a provider exists only while its key and its secret are set. An event is a hint: once its
signature is right, a row notes the object that it names, and a task asks the provider about it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from proxy.errors import InvalidRequest, RateLimited, RequestTimeout, RequestTooLarge
from proxy.features.payments.provider import Provider, ProviderWebhook
from proxy.http.body import raw_body
from proxy.http.endpoint import Endpoint, json
from proxy.http.replies import reply
from proxy.storage.store import Store

MOST_BYTES = 256 * 1024
_TITLES = {"mercadopago": "Mercado Pago", "stripe": "Stripe"}

Note = Callable[[str, str], Awaitable[None]]
"""Notes that webhooks of a provider named an object."""


class Received(msgspec.Struct, frozen=True, kw_only=True):
    received: bool = True


def webhook_endpoints(providers: Iterable[Provider], store: Store, note: Note) -> list[Endpoint]:
    return [
        Endpoint(
            "POST",
            f"/webhooks/{each.name}",
            partial(_receive, each, store, note),
            f"receive_{each.name}_event",
            f"{_TITLES[each.name]} says that a payment has changed",
            json(Received),
            access="open",
            failures=(InvalidRequest, RequestTimeout, RequestTooLarge, RateLimited),
            pace="webhook",
        )
        for each in providers
    ]


async def _receive(provider: Provider, store: Store, note: Note, request: Request) -> Response:
    body = await raw_body(request, MOST_BYTES)
    webhook = ProviderWebhook(body, request.query_params, request.headers, await store.now())
    object_id = provider.event(webhook)
    if object_id is not None:
        await note(provider.name, object_id)
    return reply(Received())
