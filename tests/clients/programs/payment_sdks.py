"""The real SDKs of both providers against their fakes: `payment_sdks.py MERCADOPAGO STRIPE`, two URLs.

Its input is a JSON list of webhooks, each with a provider, its query, its headers and its body as text. It
prints what the clients got, and which webhooks their validators accept.
"""

import json
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

REAL = "https://api.mercadopago.com"


def mercadopago(url: str, token: str) -> dict[str, Any]:
    mp: Any = import_module("mercadopago")
    requests: Any = import_module("requests")
    options: Any = import_module("mercadopago.config").RequestOptions
    client: Any = import_module("mercadopago.http").HttpClient

    class Local(client):  # type: ignore[misc]  # the SDK is not here while this is checked
        def request(self, method: str, url_: str = "", **more: Any) -> Any:
            return super().request(method, (url_ or more.pop("url")).replace(REAL, url), **more)

    def keyed(key: str) -> Any:
        return options(access_token=token, custom_headers={"x-idempotency-key": key})

    sdk, item = mp.SDK(token, http_client=Local()), {"title": "500", "quantity": 1, "unit_price": 29.9}
    wanted = {"items": [item], "external_reference": "ord_1", "back_urls": {"success": "https://a.example/"}}
    first = sdk.preference().create(wanted, keyed("ord_1"))
    again = sdk.preference().create(wanted, keyed("ord_1"))
    other = sdk.preference().create({**wanted, "external_reference": "ord_2"}, keyed("ord_1"))
    for way in ("pix:pending", "master:approved"):
        requests.post(first["response"]["init_point"], data={"pay": way}, allow_redirects=False, timeout=10)
    found = sdk.payment().search({"external_reference": "ord_1"})["response"]["results"]
    ended = {"expires": True, "expiration_date_to": "2026-01-31T12:00:00.000+00:00"}
    end = sdk.preference().update(first["response"]["id"], ended, options(access_token=token))
    late = requests.post(first["response"]["init_point"], data={"pay": "pix:pending"}, timeout=10)
    card, pix = sorted(found, key=lambda each: str(each["status"]))
    refund = sdk.refund().create(card["id"], {"amount": 10}, keyed("refund"))
    return {
        "statuses": [first["status"], again["status"], other["status"], refund["status"]],
        "is_same": first["response"]["id"] == again["response"]["id"],
        "title": sdk.preference().get(first["response"]["id"])["response"]["items"][0]["title"],
        "payments": [pix["status"], sdk.payment().get(card["id"])["response"]["status_detail"], len(found)],
        "ended": [end["status"], end["response"]["expires"], "has expired" in late.text],
        "missing": sdk.payment().get(1)["status"],
    }


def stripe(url: str, key: str) -> dict[str, Any]:
    sdk: Any = import_module("stripe")
    requests: Any = import_module("requests")
    client = sdk.StripeClient(key, base_addresses={"api": url}, max_network_retries=2)
    price = {"currency": "brl", "unit_amount": 2990, "product_data": {"name": "500 credits"}}
    wanted = {
        "mode": "payment",
        "line_items": [{"price_data": price, "quantity": 1}],
        "success_url": "https://a.example/",
        "client_reference_id": "ord_1",
        "payment_method_types": ["card"],
    }
    sessions, keyed = client.v1.checkout.sessions, {"idempotency_key": "ord_1"}
    first, again = sessions.create(wanted, keyed), sessions.create(wanted, keyed)
    requests.post(first.url, data={"pay": "card"}, allow_redirects=False, timeout=10)
    paid = sessions.retrieve(first.id)
    refund = client.v1.refunds.create({"payment_intent": paid.payment_intent, "amount": 1000})
    expand = {"expand": ["latest_charge"]}
    intent = client.v1.payment_intents.retrieve(paid.payment_intent, expand)
    other = sessions.create({**wanted, "client_reference_id": "ord_3"}, {"idempotency_key": "ord_3"})
    ended = [
        sessions.expire(other.id).status,
        failed(lambda: sessions.expire(other.id)),
        failed(lambda: sessions.expire(first.id)),
    ]
    stranger = sdk.StripeClient("sk_test_other", base_addresses={"api": url})
    return {
        "is_same": first.id == again.id,
        "paid": [paid.payment_status, paid.amount_total, paid.client_reference_id, refund.status],
        "intent": [intent.amount_received, intent.latest_charge.amount_refunded],
        "disputes": len(client.v1.disputes.list({"payment_intent": intent.id}).data),
        "of_intent": [each.id == first.id for each in sessions.list({"payment_intent": intent.id}).data],
        "ended": ended,
        "errors": [
            failed(lambda: sessions.create({**wanted, "client_reference_id": "ord_2"}, keyed)),
            failed(lambda: sessions.retrieve("cs_none")),
            failed(lambda: stranger.v1.checkout.sessions.retrieve(first.id)),
            failed(lambda: sessions.create({**wanted, "line_items": []})),
        ],
    }


def failed(call: Callable[[], Any]) -> str:
    try:
        call()
    except Exception as error:  # noqa: BLE001 - the SDK's own class is what is looked at
        return type(error).__name__
    return ""


def is_valid(webhook: dict[str, Any], secrets: dict[str, str]) -> bool:
    provider, headers = webhook["provider"], webhook["headers"]
    if provider == "stripe":
        construct = import_module("stripe").Webhook.construct_event
        return not failed(lambda: construct(webhook["body"], headers["stripe-signature"], secrets[provider]))
    validate = import_module("mercadopago.webhook").WebhookSignatureValidator.validate
    signed = (headers["x-signature"], headers.get("x-request-id"), webhook["query"]["data.id"])
    return not failed(lambda: validate(*signed, secrets[provider]))


def main() -> None:
    given = json.load(sys.stdin)
    keys = given["keys"]
    seen = {
        "mercadopago": mercadopago(sys.argv[1], keys["mercadopago"]),
        "stripe": stripe(sys.argv[2], keys["stripe"]),
        "valid": [is_valid(each, given["secrets"]) for each in given["webhooks"]],
    }
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main()
