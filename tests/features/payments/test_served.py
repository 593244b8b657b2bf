"""Orders over HTTP: bought at both providers' fakes, settled by webhooks or without, forged, and refused."""

import time
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import msgspec
import pytest

from fakes.payments import Webhook
from proxy.access import admission
from proxy.features.payments import calls
from proxy.features.payments.event_tasks import EventTasks
from proxy.http.endpoint import Endpoint
from proxy.storage import accounts
from tests.features.payments.providers import NAMES
from tests.features.payments.shop import SECRETS, SOLD, Shop, shop
from tests.fixtures import opened
from tests.proxy.api.inside import envelope
from tests.replies import json_of
from tests.tables import each_row

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "PAUSES_S", (0.0, 0.0))


open_shop = opened(shop, "tmp_path")


@each_row("provider", NAMES)
async def test_a_pack_is_bought_paid_and_refunded_by_webhooks_that_come_twice_and_late(
    open_shop: Shop, provider: str
) -> None:
    order = await open_shop.order(provider)
    assert (order["state"], order["amount"], order["currency"]) == ("open", "29.90", "BRL")
    paid = open_shop.pay(order)
    first = list(open_shop.fake(provider).notices.waiting)
    await open_shop.deliver()
    shown = await open_shop.in_state(order, "paid")
    (payment,) = shown["payments"]
    assert (payment["amount"], payment["credited"], shown["attention"]) == ("29.90", 500, "")
    open_shop.fake(provider).account.refund(paid, *_part(provider))
    await open_shop.deliver()
    await open_shop.in_state(order, "partly_refunded")
    for webhook in first * 2:
        assert (await open_shop.post(webhook)).status_code == 200
    await open_shop.quiet()
    (payment,) = (await open_shop.shown(order))["payments"]
    assert (payment["refunded"], payment["credited"]) == ("10.00", 332.775919)
    reference = f"pay:{payment['id']}"
    booked = {name: amount for name, amount in (await open_shop.entries()).items() if reference in name}
    assert booked == {f"{reference}:1": 500.0, f"{reference}:2": -167.224081}


def _part(provider: str) -> tuple[Any]:
    return (1000,) if provider == "stripe" else (Decimal(10),)


async def test_all_settles_with_every_webhook_dropped(open_shop: Shop) -> None:
    for provider in NAMES:
        order = await open_shop.order(provider, plan="creator")
        paid = open_shop.pay(order)
        # A look by its owner has the provider asked.
        shown = json_of(await open_shop.ask("GET", f"/v1/orders/{order['id']}"))
        assert shown["url"] == order["url"]
        await open_shop.in_state(order, "paid")
        open_shop.fake(provider).account.refund(paid)
        # So does the order's own date, although nobody looks.
        await open_shop.run_sql("UPDATE orders SET due = 0 WHERE id = :id", id=order["id"])
        await open_shop.in_state(order, "refunded")
        assert open_shop.fake(provider).notices.lose() >= 2
    assert not await open_shop.server.worker.store.read("SELECT id FROM payment_events", {})


def _forgeries(open_shop: Shop, provider: str, object_id: str) -> list[tuple[Webhook, int]]:
    """Webhooks about a payment that are not the provider's, and the status of each."""
    now = time.time()
    other = "stripe" if provider == "mercadopago" else "mercadopago"
    signer = open_shop.fake(provider).signer
    if provider == "mercadopago":

        def sign(now: float = now, **more: Any) -> Webhook:
            signed: Webhook = signer.webhook(object_id, now, **more)
            return signed

        upper = signer.webhook("ABC", now, signed_id="ABC")
        header = "x-signature"
    else:

        def sign(now: float = now, **more: Any) -> Webhook:
            shown = {"id": object_id, "object": "payment_intent"}
            signed: Webhook = signer.webhook("payment_intent.succeeded", shown, now, **more)
            return signed

        upper = sign()._replace(body=sign().body.replace(b"pi_", b"PI_"))
        header = "stripe-signature"
    name = "secret" if provider == "mercadopago" else "secrets"
    secrets = ("", "whsec_", SECRETS["mp_secret" if other == "mercadopago" else "s_secret"])
    wrong: list[dict[str, Any]] = [{name: each if name == "secret" else (each,)} for each in secrets]
    found = [(sign(**each), 400) for each in wrong]
    good = sign()
    found.append((upper, 400))
    found.append((good._replace(headers={}), 400))
    found.append((good._replace(headers={header: ""}), 400))
    found.append((good._replace(body=b" " * 5_000_000), 413))
    found.append((good._replace(url=good.url.replace(provider, other)), 400))
    if provider == "stripe":
        found += [(sign(now - 400), 400), (sign(now + 400), 400), (good._replace(body=b"{}"), 400)]
    return found


@each_row("provider", NAMES)
async def test_forged_events_change_no_order_payment_or_entry(open_shop: Shop, provider: str) -> None:
    order = await open_shop.order(provider)
    paid = open_shop.pay(order)
    before = await _books(open_shop)
    for forged, status in _forgeries(open_shop, provider, str(paid.id)):
        assert (await open_shop.post(forged)).status_code == status
    await open_shop.quiet()
    assert await _books(open_shop) == before
    assert not await open_shop.server.worker.store.read("SELECT id FROM payment_events", {})


async def _books(open_shop: Shop) -> list[Any]:
    read = open_shop.server.worker.store.read
    return [
        await read(f"SELECT {what} FROM {table}", {})
        for what, table in (("*", "payments"), ("*", "entries"), ("id, state, attention", "orders"))
    ]


@each_row("provider", NAMES)
@each_row(
    "odd",
    [
        {"amount": 1},
        {"currency": "USD"},
        {"reference": "ord_other"},
        {"live": True},
        {"seller": 1},
        {"other_order": True},
    ],
)
async def test_a_payment_that_contradicts_its_order_credits_nothing(
    open_shop: Shop, provider: str, odd: dict[str, Any]
) -> None:
    if provider == "stripe" and "seller" in odd:
        return  # its key is of one seller
    order = await open_shop.order(provider)
    paid = open_shop.pay(order)
    (kind,) = odd
    if kind == "other_order":
        other = await open_shop.order("stripe" if provider == "mercadopago" else "mercadopago")
        _refer_to(open_shop, provider, paid, other["id"])
    elif kind == "reference":
        _refer_to(open_shop, provider, paid, odd[kind])
    else:
        paid.shown_as = _shown_as(provider, kind, odd[kind])
    await open_shop.deliver()
    await open_shop.quiet()
    shown = await open_shop.checked(order)
    assert (shown["state"], shown["payments"], await open_shop.entries()) == ("open", [], {})
    if kind in ("amount", "currency", "live", "seller"):
        assert shown["attention"]
        for asked, is_listed in (("true", True), ("false", False)):
            listed = json_of(await open_shop.server.administer("GET", f"orders?attention={asked}"))
            assert (order["id"] in [each["id"] for each in listed["data"]]) is is_listed
        note = {"note": "It was given back by hand."}
        path = f"orders/{order['id']}/resolve"
        resolved = json_of(await open_shop.server.administer("POST", path, note))
        assert (resolved["attention"], len(resolved["resolved"])) == ("", 1)
        assert (await open_shop.server.administer("POST", path, note)).status_code == 409
        assert (await open_shop.checked(order))["attention"] == ""
    await open_shop.run_sql("UPDATE orders SET state = 'expired'")


def _shown_as(provider: str, kind: str, value: Any) -> dict[str, Any]:
    mercadopago = {
        "amount": "transaction_amount",
        "currency": "currency_id",
        "live": "live_mode",
        "seller": "collector_id",
    }
    names = {"amount": "amount_received", "currency": "currency", "live": "livemode"}
    return {(mercadopago if provider == "mercadopago" else names)[kind]: value}


def _refer_to(open_shop: Shop, provider: str, paid: Any, order: str) -> None:
    if provider == "mercadopago":
        paid.shown_as = {"external_reference": order}
    else:
        open_shop.stripe.account.sessions[paid.session].reference = order


async def test_the_paths_of_webhooks_need_a_key_and_a_secret_that_is_not_empty(tmp_path: Path) -> None:
    paths = ("/webhooks/mercadopago", "/webhooks/stripe")
    only = SOLD + '[payments.stripe]\nsecret_key = "file:s_key"\n'
    async with shop(tmp_path, config=only) as without:
        for path in paths:
            assert (await without.server.ask("POST", path, key="")).status_code == 401
            assert (await without.server.ask("POST", path)).status_code == 404
        (sold,) = [
            each
            for each in json_of(await without.ask("GET", "/v1/plans"))["data"]
            if each["object"] == "pack"
        ]
        assert sold["providers"] == []
        refused = await without.ask("POST", "/v1/orders", {"pack": "small", "provider": "stripe"})
        assert (refused.status_code, envelope(refused)["code"]) == (400, "offer_not_found")


async def test_unsigned_webhooks_are_counted_by_network_and_signed_ones_are_not(
    open_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert admission.MOST_A_MINUTE["webhook"] == 600
    monkeypatch.setitem(admission.MOST_A_MINUTE, "webhook", 3)
    webhook = open_shop.mercadopago.signer.webhook("77", time.time())
    unsigned = webhook._replace(headers={})
    statuses = [(await open_shop.post(each)).status_code for each in [unsigned] * 4 + [webhook] * 4]
    assert statuses == [400, 400, 400, 429, 200, 200, 200, 200]
    await open_shop.quiet()
    (row,) = await open_shop.server.worker.store.read("SELECT id, received FROM payment_events", {})
    assert (row["id"], row["received"]) == ("mercadopago:77", 4)


@each_row(
    "wanted, param, code",
    [
        ({"pack": "small"}, "provider", "missing_required_parameter"),
        ({"provider": "stripe"}, "plan", "invalid_value"),
        ({"plan": "creator", "pack": "small", "provider": "stripe"}, "plan", "invalid_value"),
        ({"plan": "gold", "provider": "stripe"}, "plan", "offer_not_found"),
        ({"plan": "small", "provider": "stripe"}, "plan", "offer_not_found"),
        ({"pack": "creator", "provider": "stripe"}, "pack", "offer_not_found"),
        ({"pack": "a\x00b", "provider": "stripe"}, "pack", "invalid_value"),
        ({"pack": "x" * 101, "provider": "stripe"}, "pack", "invalid_value"),
        ({"pack": 5, "provider": "stripe"}, "pack", "invalid_value"),
        ({"pack": "small", "provider": "paypal"}, "provider", "offer_not_found"),
        ({"pack": "small", "provider": ""}, "provider", "invalid_value"),
    ],
)
async def test_a_wrong_field_of_an_order_is_named(
    open_shop: Shop, wanted: dict[str, Any], param: str, code: str
) -> None:
    refused = await open_shop.ask("POST", "/v1/orders", wanted)
    error = envelope(refused)
    assert (refused.status_code, error["param"], error["code"]) == (400, param, code)
    assert json_of(await open_shop.ask("GET", "/v1/orders"))["data"] == []


@each_row("provider", NAMES)
@each_row(
    "fault, more",
    [
        ("5xx", {"status": 400}),
        ("5xx", {"status": 401}),
        ("5xx", {"status": 500, "count": 3}),
        ("5xx", {"status": 502, "code": "html", "count": 3}),
        ("429", {"retry_after": "60"}),
        ("lost", {}),
    ],
)
async def test_a_provider_that_fails_leaves_one_order_and_one_checkout(
    open_shop: Shop, provider: str, fault: Any, more: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(admission.MOST_A_MINUTE, "write", 600)
    fake, key = open_shop.fake(provider), {"idempotency-key": f"{provider} {fault} {more}"}
    fake.provider.reset()
    fake.provider.fail(fault, path="/", method="POST", **more)
    wanted = {"pack": "small", "provider": provider}
    refused = await open_shop.ask("POST", "/v1/orders", wanted, **key)
    assert (refused.status_code, envelope(refused)["code"]) == (503, "provider_unavailable")
    assert int(refused.headers["retry-after"]) >= int(more.get("retry_after", 5))
    made = json_of(await open_shop.ask("POST", "/v1/orders", wanted, **key), 201)
    again = json_of(await open_shop.ask("POST", "/v1/orders", wanted, **key), 201)
    assert made == again
    account = fake.account
    known = account.preferences.values() if provider == "mercadopago" else account.sessions.values()
    assert [made["id"] in str(msgspec.to_builtins(each)) for each in known].count(True) == 1
    clash = await open_shop.ask("POST", "/v1/orders", {"plan": "creator", "provider": provider}, **key)
    assert (clash.status_code, envelope(clash)["code"]) == (422, "idempotency_key_reused")
    await open_shop.run_sql("UPDATE orders SET state = 'expired'")


async def test_events_whose_provider_fails_are_asked_for_again(open_shop: Shop) -> None:
    order = await open_shop.order()
    open_shop.pay(order)
    open_shop.mercadopago.provider.fail("5xx", count=9, path="/v1/payments/", method="GET")
    await open_shop.deliver()
    await open_shop.quiet()
    assert (await open_shop.shown(order))["state"] == "open"
    open_shop.mercadopago.provider.reset()
    await open_shop.run_sql("UPDATE payment_events SET due = 0")
    await open_shop.in_state(order, "paid")
    await open_shop.quiet()
    await open_shop.run_sql("UPDATE payment_events SET changed = 0")
    (events,) = [each for each in open_shop.server.worker.task_kinds if isinstance(each, EventTasks)]
    await events.delete_old()
    assert not await open_shop.server.worker.store.read("SELECT id FROM payment_events", {})


async def test_payments_that_no_order_has_are_found_at_the_providers(open_shop: Shop) -> None:
    for provider in NAMES:
        open_shop.pay(await open_shop.order(provider))
        lost = await open_shop.order(provider)
        open_shop.pay(lost)
        await open_shop.run_sql("DELETE FROM orders WHERE id = :id", id=lost["id"])
    refused = await open_shop.server.administer("GET", "orders/differences")
    assert (refused.status_code, envelope(refused)["param"]) == (400, "since")
    day = time.strftime("%Y-%m-%d", time.gmtime())
    found = json_of(await open_shop.server.administer("GET", f"orders/differences?since={day}"))
    assert [(each["provider"], each["amount"]) for each in found["data"]] == [
        (name, "29.90") for name in NAMES
    ]
    open_shop.stripe.provider.fail("5xx", path="/v1/payment_intents", status=401)
    found = json_of(await open_shop.server.administer("GET", f"orders/differences?since={day}"))
    assert (len(found["data"]), list(found["failed"])) == (1, ["stripe"])


OF_SESSIONS = (
    ("POST", "/v1/orders"),
    ("GET", "/v1/orders"),
    ("GET", "/v1/orders/{id}"),
    ("POST", "/v1/orders/{id}/cancel"),
)
OPEN = (("GET", "/v1/plans"), ("GET", "/orders/{id}"))
OF_ADMINS = (
    ("GET", "/admin/orders"),
    ("GET", "/admin/orders/{id}"),
    ("GET", "/admin/orders/differences"),
    ("POST", "/admin/orders/{id}/check"),
    ("POST", "/admin/orders/{id}/resolve"),
)
OF_PROVIDERS = (("POST", "/webhooks/mercadopago"), ("POST", "/webhooks/stripe"))


async def test_each_endpoint_answers_each_caller_as_it_may(open_shop: Shop) -> None:
    ours = [each for each in open_shop.server.worker.endpoints if _is_ours(each)]
    assert {(each.method, each.path) for each in ours} == {*OF_SESSIONS, *OPEN, *OF_ADMINS, *OF_PROVIDERS}
    order = await open_shop.order()
    (suspended, by_suspended), (closed, by_closed) = (
        await open_shop.person("sue"),
        await open_shop.person("cleo"),
    )
    _, by_other = await open_shop.person("bob")
    await open_shop.run_sql("UPDATE accounts SET suspended = 1 WHERE id = :id", id=suspended)
    await open_shop.run_sql("UPDATE accounts SET closed = 1 WHERE id = :id", id=closed)
    wanted = {"pack": "small", "provider": "stripe"}
    for method, path in (*OF_SESSIONS, *OF_ADMINS, *OPEN):
        place, body = path.replace("{id}", order["id"]), wanted if method == "POST" else None
        is_open, is_admin = (method, path) in OPEN, path.startswith("/admin")

        async def status(cookie: str, place: str = place, method: str = method, body: Any = body) -> Any:
            answer = await open_shop.ask(method, place, body, cookie=cookie)
            return answer.status_code, envelope(answer)["code"] if answer.is_error else ""

        by_none = await open_shop.server.ask(method, place, key="", body=body)
        by_key = await open_shop.server.ask(method, place, body=body)
        if is_open:
            good = 200 if path == "/v1/plans" else 303
            assert {by_none.status_code, by_key.status_code} == {good}
            assert {(await status(each))[0] for each in (by_other, by_suspended, by_closed)} == {good}
            continue
        assert by_none.status_code == 401
        assert envelope(by_key)["code"] == ("not_allowed" if is_admin else "session_needed")
        assert await status(by_suspended) == (403, "account_suspended")
        assert await status(by_closed) == (401, "session_ended")
        if is_admin:
            assert await status(open_shop.cookie) == (403, "not_allowed")
        elif "{id}" in path:
            assert await status(by_other) == (404, "order_not_found")
            assert await status(open_shop.cookie) == (200, "")
        else:
            assert (
                (await status(by_other))[0] == (await status(open_shop.cookie))[0] == (201 if body else 200)
            )
    listed = json_of(await open_shop.ask("GET", "/v1/orders", cookie=by_other))["data"]
    assert order["id"] not in [each["id"] for each in listed]


def _is_ours(each: Endpoint) -> bool:
    return "orders" in each.path or each.path == "/v1/plans" or each.path.startswith("/webhooks/")


async def test_an_account_has_five_open_orders_at_most_and_sees_what_paying_changes(open_shop: Shop) -> None:
    order = await open_shop.order(plan="creator")
    assert (order["ends"], order["silenced"]) == (None, [])
    open_shop.pay(order)
    await open_shop.deliver()
    await open_shop.in_state(order, "paid")
    await open_shop.quiet()
    account = await accounts.get(open_shop.server.worker.store, open_shop.server.account.id)
    assert account is not None
    assert (account.plan, account.has_paid) == ("creator", True)
    for _ in range(5):
        await open_shop.order()
    refused = await open_shop.ask("POST", "/v1/orders", {"pack": "small", "provider": "stripe"})
    assert (refused.status_code, envelope(refused)["code"]) == (403, "too_many_orders")
    first = json_of(await open_shop.ask("GET", "/v1/orders?limit=2"))
    listed = json_of(await open_shop.server.administer("GET", f"orders?limit=2&account={account.name}"))
    assert [each["id"] for each in first["data"]] == [each["id"] for each in listed["data"]]
    assert (len(first["data"]), first["has_more"], listed["has_more"]) == (2, True, True)
    refused = await open_shop.server.administer("GET", "orders?attention=yes")
    assert (refused.status_code, envelope(refused)["param"]) == (400, "attention")


@each_row(
    "asked, fragment",
    [
        ("ord_1", "ord_1"),
        ("ord_1?payment_id=7&status=approved", "ord_1"),
        ("ord_1/", "ord_1"),
        ("%3Cscript%3E%0D%0Ax", "%3Cscript%3E%0D%0Ax"),
    ],
)
async def test_a_buyer_is_led_to_the_order_in_the_console(open_shop: Shop, asked: str, fragment: str) -> None:
    answer = await open_shop.server.ask("GET", f"/orders/{asked}", key="")
    place = urljoin(f"https://proxy.test/voice/orders/{asked}", answer.headers["location"])
    assert (answer.status_code, place) == (303, f"https://proxy.test/voice/#/orders/{fragment}/back")
