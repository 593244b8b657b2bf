"""What goes wrong between an order and its payment: late indexes, plans that are gone, closed accounts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from policies.price import MICRO
from proxy.config.sections import Upstream
from proxy.diagnosis.doctor.databases import missing_plans
from proxy.engines.http.upstream_http import open_http
from proxy.feature_list import load_config
from proxy.features.admin.verify import verify
from proxy.features.payments import calls, mercadopago
from proxy.features.payments.booking import REFUND_FAILED
from proxy.features.payments.event_tasks import EventTasks
from proxy.features.payments.mercadopago import MercadoPago
from proxy.features.payments.provider import FetchedPayment, ProviderFailed
from proxy.features.payments.records import NEVER, ORDERS
from proxy.features.payments.section import MercadoPagoSection
from proxy.storage import accounts, audit
from proxy.storage.rows import NEWEST
from proxy.storage.store import AlreadyExists, Row, Statement, Store
from tests.features.payments.rig import DAY_S, PLANS, Shop, TinyProvider, set_plan, shop_on
from tests.features.payments.shop import PROVIDERS, SOLD
from tests.features.payments.shop import shop as served_shop
from tests.replies import json_of
from tests.tables import each_row

_ALL = (NEWEST, 100)
ACT = audit.new_act(1, "key_1", "order.resolved", "", "")


@pytest.fixture
async def shop(store: Store) -> AsyncIterator[Shop]:
    async with shop_on(store) as opened:
        yield opened
        assert (await verify(store)).contradictions == []


class _LateIndex(TinyProvider):
    """A provider whose search does not list a payment yet."""

    async def payments_of(self, order: str, checkout: str) -> list[FetchedPayment]:
        del order, checkout
        return []


async def test_a_payment_that_a_webhook_named_is_booked_although_no_search_lists_it(shop: Shop) -> None:
    shop.use(_LateIndex())
    ada = await shop.account("ada")
    order = await shop.order(ada, "small")
    await shop.later(40 * DAY_S)
    id_ = shop.provider.pay(order)
    await _event(shop, id_)
    assert await shop.granted(ada) == 500
    await _event(shop, id_)
    shop.provider.refund(id_, 2990)
    await _event(shop, id_)
    assert await shop.granted(ada) == 0
    assert (await shop.orders.find_order(ada, order.id)).state == "refunded"


async def _event(shop: Shop, id_: str) -> None:
    events = EventTasks(shop.clock, shop.orders.wake_order, shop.workers[0].order_tasks.book_named_payment)
    events.providers = {"mercadopago": shop.provider}
    await events.note_webhook("mercadopago", id_)
    await events.look()
    await events.finish()
    await shop.work()


async def test_a_month_without_an_allowance_of_a_plan_that_is_gone_begins_nothing(shop: Shop) -> None:
    ada, bob, eve = [await shop.account(name) for name in ("ada", "bob", "eve")]
    orders = [await shop.order(each, "studio") for each in (ada, bob, eve)]
    await _agree(shop, bob)
    await shop.later(60)
    await shop.buy(eve, "pro")
    for each in orders[1:]:
        shop.provider.pay(each)
        await shop.hook(each.id)
    shop.use(shop.provider, {name: plan for name, plan in PLANS.items() if name != "studio"})
    shop.provider.pay(orders[0])
    await shop.hook(orders[0].id)
    assert [(await shop.read(each)).plan for each in (ada, bob, eve)] == ["free", "free", "pro"]
    assert set(await need_attention(shop)) == {each.id for each in orders}


async def test_each_payment_for_a_closed_account_needs_attention_and_a_refund_does_not(shop: Shop) -> None:
    ada = await shop.account("ada")
    order, kept = await shop.order(ada, "small"), await shop.order(ada, "small")
    shop.provider.pay(kept)
    await shop.hook(kept.id)
    await accounts.close(shop.clock, ada)
    for _ in range(2):
        shop.provider.pay(order)
        await shop.hook(order.id)
        assert await need_attention(shop) == [order.id]
        await shop.clock.write(
            Statement("UPDATE orders SET resolved = resolved || attention, attention = ''")
        )
    shop.provider.refund("1", 1000)
    await shop.hook(kept.id)
    assert await need_attention(shop) == []
    shop.provider.dispute("1")
    await shop.hook(kept.id)
    shop.provider.win("1")
    await shop.hook(kept.id)
    assert await need_attention(shop) == [kept.id], "credits come back to nobody"
    (payment,) = await shop.orders.payments_of(kept.id)
    assert (payment.disputed, payment.credited, await shop.granted(ada)) == (0, 0, 0)


async def test_what_was_given_back_meanwhile_is_not_given_back_by_a_carry_again(shop: Shop) -> None:
    ada = await shop.account("ada")
    await shop.buy(ada, "pro")
    assert await shop.speak(ada, 300)
    await set_plan(shop, ada, "mini")
    order = await shop.order(ada, "pro")
    shop.provider.pay(order)
    await shop.workers[0].booking.book(order, [], [shop.provider.paid["2"]])
    await shop.later(60)
    assert (await shop.granted(ada), await shop.left(ada)) == (700, 1000)


async def test_a_last_look_that_was_refused_is_not_the_last(shop: Shop) -> None:
    ada = await shop.account("ada")
    order = await shop.order(ada, "small")

    async def refuse(_point: str) -> None:
        raise ProviderFailed("It answered with HTTP 401.", is_final=True)

    at: Callable[[str], Awaitable[None]] = shop.provider.at
    shop.provider.pay(order)
    shop.provider.at = refuse
    for _ in range(9):
        await shop.later(DAY_S)
    shop.provider.at = at
    await shop.later(DAY_S)
    assert await shop.granted(ada) == 500
    other = await shop.order(ada, "small")
    shop.provider.at = refuse
    await shop.later(200 * DAY_S)
    await shop.later(DAY_S)
    assert (await shop.orders.find_order(ada, other.id)).due > await shop.clock.now() + 999 * DAY_S * MICRO


@each_row(
    "seconds, needs_it, restarts",
    [
        (30, False, False),
        (60, True, False),
        (7 * DAY_S, True, False),
        (30, False, True),
        (60, True, True),
    ],
)
async def test_a_refund_that_has_failed_since_needs_attention_at_the_second_look(
    shop: Shop, seconds: float, needs_it: bool, restarts: bool
) -> None:
    ada = await shop.account(f"ada {seconds} {restarts}")
    order = await shop.order(ada, "small")
    paid = shop.provider.pay(order)
    shop.provider.refund(paid, 1000)
    await shop.hook(order.id)
    credits = await shop.granted(ada)
    shop.provider.change(paid, refunded=0)
    await shop.hook(order.id)
    await shop.hook(order.id)
    assert order.id not in await need_attention(shop)
    if restarts:
        shop.restart()
    shop.clock.seconds += seconds
    await shop.work()
    assert (order.id in await need_attention(shop)) is needs_it
    if needs_it:
        found = await shop.orders.find_order(ada, order.id)
        assert (
            found.attention == f"payment mercadopago:{paid}: 10.00 were refunded, now 0.00; {REFUND_FAILED}"
        )
        assert found.due > await shop.clock.now() + 3600 * MICRO, "a person sees to it from here on"
        await shop.orders.resolve_order(found, ACT)
        await shop.later(30 * DAY_S)
        assert order.id not in await need_attention(shop), "a reason that was looked at does not come back"
    assert (await shop.granted(ada), (await shop.orders.find_order(ada, order.id)).state) == (
        credits,
        "partly_refunded",
    )


class _Refusing(TinyProvider):
    """A provider that refuses for good to list payments."""

    async def payments_of(self, order: str, checkout: str) -> list[FetchedPayment]:
        raise ProviderFailed("the seller is closed", is_final=True)


@pytest.mark.parametrize("at_s", [0, 60])
@pytest.mark.parametrize("is_set", [False, True])
async def test_a_look_that_is_refused_forgets_no_second_look_at_a_refund(
    shop: Shop, is_set: bool, at_s: int
) -> None:
    ada = await shop.account("ada")
    order = await shop.order(ada, "small")
    paid = shop.provider.pay(order)
    shop.provider.refund(paid, 1000)
    await shop.hook(order.id)
    await shop.later(400 * DAY_S)  # no look is planned any more
    shop.provider.change(paid, refunded=0)
    await shop.hook(order.id)
    provider, shop.clock.seconds = shop.provider, shop.clock.seconds + at_s
    shop.use(_Refusing())
    if not is_set:
        shop.orders.sales = shop.orders.sales._replace(providers={})
    await shop.hook(order.id)
    shop.use(provider)
    await shop.later(DAY_S)
    assert order.id in await need_attention(shop)


async def test_an_old_answer_between_two_right_ones_is_no_failed_refund(shop: Shop) -> None:
    ada = await shop.account("ada")
    order = await shop.order(ada, "small")
    paid = shop.provider.pay(order)
    old = dict(shop.provider.paid)
    shop.provider.refund(paid, 1000)
    await shop.hook(order.id)
    for _ in range(2):
        shop.provider.old = [old]
        await shop.hook(order.id)
        await shop.later(60)
    assert await need_attention(shop) == []


class _Odd(TinyProvider):
    """A provider whose answer about one order is beyond all that its adapter expects."""

    odd = ""

    async def payments_of(self, order: str, checkout: str) -> list[FetchedPayment]:
        if order == self.odd:
            raise ArithmeticError("NaN")
        return await super().payments_of(order, checkout)


async def test_an_answer_that_raises_stops_its_own_order_alone(shop: Shop) -> None:
    shop.use(provider := _Odd())
    ada = await shop.account("ada")
    orders = [await shop.order(ada, "small") for _ in range(3)]
    provider.odd = orders[0].id
    for order in orders:
        provider.pay(order)
        await shop.orders.wake_order("mercadopago", order.id)
    await shop.work()
    found = [await shop.orders.find_order(ada, order.id) for order in orders]
    assert [order.state for order in found] == ["open", "paid", "paid"]
    assert (found[0].tries, found[0].error) == (1, "The attempt failed: ArithmeticError.")
    assert found[0].due < await shop.clock.now() + 10 * MICRO


async def test_an_order_that_has_expired_says_so_and_a_plan_that_is_gone_is_not_shown(tmp_path: Path) -> None:
    gone = SOLD.replace(
        "[payments.packs",
        '[payments.plans.gone]\namount = "9"\ncurrency = "BRL"\nproviders = ["stripe"]\n[payments.packs',
    )
    async with served_shop(tmp_path, config=gone + PROVIDERS) as opened:
        listed = json_of(await opened.ask("GET", "/v1/plans"))["data"]
        assert [each["name"] for each in listed] == ["creator", "small"]
        refused = await opened.ask("POST", "/v1/orders", {"plan": "gone", "provider": "stripe"})
        assert refused.status_code == 400
        order = await opened.order()
        await opened.run_sql("UPDATE orders SET expires = 1")
        for answer in (
            await opened.ask("GET", f"/v1/orders/{order['id']}"),
            await opened.server.administer("GET", f"orders/{order['id']}"),
        ):
            assert json_of(answer)["state"] == "expired"
        assert json_of(await opened.ask("GET", "/v1/orders"))["data"][0]["state"] == "expired"


async def _agree(shop: Shop, account: str) -> None:
    await shop.clock.write(
        Statement(
            "UPDATE accounts SET agreed = :agreed WHERE id = :id", {"agreed": '{"streams":2}', "id": account}
        )
    )


@pytest.mark.clock
async def test_a_provider_that_answers_byte_by_byte_does_not_hold_us_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calls, "TIMEOUT_S", 0.2)

    left = asyncio.Event()

    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" ")
            await asyncio.sleep(0.05)
        left.set()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    async with server, open_http(Upstream()) as client:
        port = server.sockets[0].getsockname()[1]
        section = MercadoPagoSection(access_token="t", base_url=f"http://127.0.0.1:{port}", seller="7")
        provider = MercadoPago(client, section)
        async with asyncio.timeout(3):
            with pytest.raises(ProviderFailed) as failed:
                await provider.find_payment("77")
        assert not failed.value.is_final
        await left.wait()


class _Hanging(TinyProvider):
    async def find_payment(self, object_id: str) -> FetchedPayment | None:
        await asyncio.Event().wait()
        return await super().find_payment(object_id)


@pytest.mark.clock
async def test_events_of_a_provider_that_hangs_leave_room_for_those_of_the_other(shop: Shop) -> None:
    events = EventTasks(shop.clock, shop.orders.wake_order, shop.workers[0].order_tasks.book_named_payment)
    events.providers = {"mercadopago": _Hanging(), "stripe": TinyProvider()}
    events.closing_s = 0
    for number in range(12):
        await events.note_webhook("mercadopago", str(number))
    shop.clock.seconds += 1
    await events.note_webhook("stripe", "pi_1")
    for _ in range(3):
        await events.look()
        await asyncio.sleep(0.05)
    (row,) = await shop.clock.read("SELECT due FROM payment_events WHERE id = 'stripe:pi_1'", {})
    assert row["due"] == NEVER
    await events.close()


async def test_a_plan_that_is_set_beside_a_booking_is_decided_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await shop.account("ada")
    write, refusals = shop.clock.write, iter([AlreadyExists("plan_changes")])

    async def refused_once(*statements: Statement) -> list[list[Row]]:
        for refusal in refusals:
            raise refusal
        return await write(*statements)

    monkeypatch.setattr(shop.clock, "write", refused_once)
    await set_plan(shop, ada, "pro")
    assert (await shop.read(ada)).plan == "pro"


async def test_a_plan_that_is_gone_and_was_ordered_or_paid_is_named(tmp_path: Path) -> None:
    async with served_shop(tmp_path) as opened:
        order = await opened.order(plan="creator")
        await opened.order(plan="creator")
        opened.pay(order)
        await opened.deliver()
        await opened.in_state(order, "paid")
        data = opened.server.worker.kernel.config.data
    text = f'[server]\ndata = "{data}"\n[plans.free]\nallowance = 10\n'
    (tmp_path / "config.toml").write_text(text)
    found = [
        (each.name, each.found.partition(",")[0])
        for each in missing_plans(load_config(tmp_path / "config.toml", {}))
    ]
    assert found == [
        ("creator", "1 account(s) are on it"),
        ("creator", "1 row(s) of orders are for it"),
        ("creator", "1 row(s) of paid_months are for it"),
    ]
    (tmp_path / "config.toml").write_text(f"{text}[plans.creator]\nallowance = 1000\n")
    assert list(missing_plans(load_config(tmp_path / "config.toml", {}))) == []


async def test_payments_that_were_never_paid_need_no_order_and_too_many_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served_shop(tmp_path) as opened:
        for number in range(3):
            order, account = await opened.order(), opened.mercadopago.account
            checkout = next(id_ for id_ in account.preferences if id_ in order["url"])
            account.pay(checkout, "master", "approved" if number else "rejected")
            await opened.run_sql("DELETE FROM orders WHERE id = :id", id=order["id"])
        found = json_of(await opened.server.administer("GET", "orders/differences?since=2020-01-01"))
        assert [each["is_paid"] for each in found["data"]] == [True, True]
        monkeypatch.setattr(mercadopago, "_MOST_OFFSET", 1)
        monkeypatch.setattr(mercadopago, "_PAGE", 1)
        found = json_of(await opened.server.administer("GET", "orders/differences?since=2020-01-01"))
        assert found["failed"] == {"mercadopago": "It lists 1 payments at most."}


async def test_a_refund_right_after_an_operators_plan_leaves_that_plan_no_debt(shop: Shop) -> None:
    ada = await shop.account("ada")
    await shop.buy(ada, "pro")
    assert await shop.speak(ada, 300)
    await set_plan(shop, ada, "mini")
    (order,) = await ORDERS.page(shop.clock, ada, *_ALL)
    rows = await shop.orders.payments_of(order.id)
    shop.provider.refund("1", 4990)
    await shop.workers[0].booking.book(order, rows, [shop.provider.paid["1"]])
    await shop.later(60)
    assert (await shop.granted(ada), await shop.left(ada)) == (0, 100)


async def test_orders_of_a_provider_that_is_gone_are_named_and_looked_at_less_and_less(shop: Shop) -> None:
    ada = await shop.account("ada")
    await shop.order(ada, "small")
    sales = shop.orders.sales
    shop.orders.sales = sales._replace(providers={})
    assert await need_attention(shop) == ["mercadopago"]
    await shop.later(90)
    (order,) = await ORDERS.page(shop.clock, ada, *_ALL)
    assert order.error == "[payments.mercadopago] is not set"
    for _ in range(5):
        await shop.later(DAY_S)
    (order,) = await ORDERS.page(shop.clock, ada, *_ALL)
    assert order.due == await shop.clock.now() + DAY_S * 1_000_000
    await shop.later(180 * DAY_S)
    assert await need_attention(shop) == []
    shop.orders.sales = sales
    shop.provider.pay(order)
    await shop.hook(order.id)
    assert await shop.granted(ada) == 500


async def need_attention(shop: Shop) -> list[str]:
    return [each.name for each in await shop.orders.troubles() if each.kind == "order_attention"]
