"""Orders that their buyers cancel: their checkouts end, and money that was on its way counts."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from fakes.mercadopago.account import Refused as MercadoPagoRefused
from fakes.stripe.account import Refused as StripeRefused
from proxy.errors import Conflict
from proxy.features.admin.verify import verify
from proxy.features.payments import calls
from proxy.storage.store import Store
from tests.features.payments.providers import NAMES
from tests.features.payments.rig import DAY_S, Shop, shop_on
from tests.features.payments.shop import Shop as ServedShop
from tests.features.payments.shop import shop as served_shop
from tests.fixtures import opened
from tests.proxy.api.inside import envelope
from tests.replies import json_of
from tests.tables import each_row


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "PAUSES_S", (0.0, 0.0))


@pytest.fixture
async def shop(store: Store) -> AsyncIterator[Shop]:
    async with shop_on(store) as opened:
        yield opened
        assert (await verify(store)).contradictions == []


open_shop = opened(served_shop, "tmp_path")


async def _cancel(shop: ServedShop, order: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json_of(await shop.ask("POST", f"/v1/orders/{order['id']}/cancel"))
    return found


@each_row(("provider", "fault"), [(name, fault) for name in NAMES for fault in ("5xx", "hang_before")])
async def test_a_cancelled_order_cannot_be_paid_at_its_provider_any_more(
    open_shop: ServedShop, provider: str, fault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "TIMEOUT_S", 1.0)
    order = await open_shop.order(provider)
    # A provider that fails or hangs changes nothing for the buyer.
    fake = open_shop.fake(provider).provider
    fake.fail(fault, count=3, path="/checkout/pref" if provider == "mercadopago" else "/v1/checkout")
    cancelled = await _cancel(open_shop, order)
    assert (cancelled["state"], cancelled["url"]) == ("expired", None)
    assert cancelled["cancelled"] == cancelled["expires"]
    assert (await _cancel(open_shop, order))["cancelled"] == cancelled["cancelled"]
    await open_shop.quiet()
    fake.reset()
    await open_shop.run_sql("UPDATE orders SET due = 0")
    await open_shop.quiet()
    with pytest.raises((MercadoPagoRefused, StripeRefused), match="expired"):
        open_shop.pay(order)
    calls_before = len(fake.seen)
    await open_shop.checked(order)
    ends = [each for each in fake.seen[calls_before:] if each.method in ("PUT", "POST")]
    assert ends == [], "a checkout is ended once"
    acts = json_of(await open_shop.server.administer("GET", "audit"))["data"]
    of_order = [each["action"] for each in acts if each["subject"] == order["id"]]
    assert of_order == ["order.cancelled", "order.created"]


@each_row("provider", NAMES)
async def test_what_was_paid_before_the_cancel_counts_and_a_paid_order_cannot_be_cancelled(
    open_shop: ServedShop, provider: str
) -> None:
    order = await open_shop.order(provider)
    open_shop.pay(order)
    assert (await _cancel(open_shop, order))["state"] == "expired"
    shown = await open_shop.in_state(order, "paid")
    assert (shown["payments"][0]["credited"], shown["attention"]) == (500, "")
    refused = await open_shop.ask("POST", f"/v1/orders/{order['id']}/cancel")
    assert (refused.status_code, envelope(refused)["code"]) == (409, "order_paid")


async def test_an_order_that_has_expired_or_is_cancelled_makes_room_for_another(shop: Shop) -> None:
    ada = await shop.account("ada")
    orders = [await shop.order(ada, "small") for _ in range(5)]
    for each in orders:
        await shop.cancel(each)
    expired = await shop.order(ada, "small")
    await shop.later(DAY_S)
    assert (await shop.cancel(expired)).cancelled is None
    assert len(shop.provider.ended) == 5
    late = shop.provider.pay(orders[0])
    await shop.later(6 * 60)
    await shop.hook(orders[0].id)
    assert await shop.granted(ada) == 500
    with pytest.raises(Conflict):
        await shop.cancel(await shop.orders.find_order(ada, orders[0].id))
    shop.provider.refund(late, 2990)
    await shop.hook(orders[0].id)
    assert await shop.granted(ada) == 0


async def test_a_checkout_that_is_made_after_its_cancel_ends_at_once(shop: Shop) -> None:
    ada = await shop.account("ada")

    async def cancelled(point: str) -> None:
        if point == "after the checkout":
            rows = await shop.clock.read("SELECT id FROM orders WHERE cancelled IS NULL")
            for row in rows:
                await shop.cancel(await shop.orders.find_order(ada, row["id"]))
                await shop.work()

    shop.provider.at = cancelled
    order = await shop.order(ada, "small")
    assert (order.state_at(await shop.clock.now()), bool(order.url)) == ("expired", True)
    assert shop.provider.ended == {}
    await shop.work()
    assert list(shop.provider.ended) == [order.checkout]
    assert (await shop.orders.find_order(ada, order.id)).url == ""
