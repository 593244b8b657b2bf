"""Payments that are booked on both databases: credits, months, refunds, disputes, and two workers at once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from policies.alerts import Trouble
from policies.price import MICRO
from policies.tasks import SECOND_US
from proxy.errors import NotAllowed
from proxy.features.admin.verify import verify
from proxy.features.payments.booking import Booking
from proxy.features.payments.event_tasks import EventTasks
from proxy.features.payments.month_tasks import MonthTasks
from proxy.features.payments.provider import FetchedPayment
from proxy.features.payments.records import MONTH_TASKS, ORDERS
from proxy.storage import accounts
from proxy.storage.rows import NEWEST
from proxy.storage.store import AlreadyExists, Statement, Store
from tests.features.mail.rig import mail_rig
from tests.features.payments.rig import DAY_S, START, Shop, TinyProvider, set_plan, settle, shop_on
from tests.features.payments.stops import recipients

_ALL = (NEWEST, 100)


@pytest.fixture
async def shop(store: Store) -> AsyncIterator[Shop]:
    async with shop_on(store, workers=2) as opened:
        yield opened
        assert (await verify(store)).contradictions == []


async def test_a_refund_takes_its_part_of_the_credits(shop: Shop) -> None:
    ada = await shop.account("ada")
    await shop.buy(ada, "small")
    assert await shop.entries(ada) == {"pay:mercadopago:1:1": 500 * MICRO}
    shop.provider.refund("1", 1000)
    (order,) = await ORDERS.page(shop.clock, ada, *_ALL)
    await shop.hook(order.id)
    assert await shop.granted(ada) == 332.775919
    assert (await shop.entries(ada))["pay:mercadopago:1:2"] == -167_224_081
    for _ in range(3):
        await shop.hook(order.id)
    assert len(await shop.entries(ada)) == 2, "without a difference nothing is written"
    assert (await shop.orders.find_order(ada, order.id)).state == "partly_refunded"
    assert (await shop.read(ada)).has_paid


async def test_an_older_answer_of_the_provider_is_refused_whole(shop: Shop) -> None:
    ada = await shop.account("ada")
    await shop.buy(ada, "small")
    (order,) = await ORDERS.page(shop.clock, ada, *_ALL)
    rows, old = await shop.orders.payments_of(order.id), [shop.provider.paid["1"]]
    shop.provider.refund("1", 1000)
    await shop.hook(order.id)
    shop.provider.refund("1", 990)
    with pytest.raises(AlreadyExists):
        await shop.workers[1].booking.book(order, rows, [shop.provider.paid["1"]])
    assert not await shop.workers[1].booking.book(order, await shop.orders.payments_of(order.id), old)
    assert await shop.granted(ada) == 332.775919


async def test_two_workers_book_a_payment_once(shop: Shop) -> None:
    ada = await shop.account("ada")
    order = await shop.order(ada, "pro")
    shop.provider.pay(order)
    fetched = [shop.provider.paid["1"]]
    results = await asyncio.gather(
        *(worker.booking.book(order, [], fetched) for worker in shop.workers), return_exceptions=True
    )
    assert sorted(map(str, results)) == sorted(["True", str(next(filter(_refused, results)))])
    assert len(await shop.months(ada)) == 1
    assert (await shop.read(ada)).plan == "pro"


def _refused(result: object) -> bool:
    return isinstance(result, AlreadyExists)


async def test_a_payment_that_contradicts_its_order_needs_attention(shop: Shop) -> None:
    ada = await shop.account("ada")
    for others in (
        {"amount": 1},
        {"currency": "USD"},
        {"seller": "78"},
        {"is_live": True},
    ):
        order = await shop.order(ada, "small")
        shop.provider.pay(order, **others)
        await shop.hook(order.id)
        found = await shop.orders.find_order(ada, order.id)
        assert (found.state, found.attention.split()[-1]) == ("open", *others)
        await shop.clock.write(Statement("UPDATE orders SET expires = 0"))
    other = await shop.order(ada, "mini")
    shop.provider.change("1", amount=other.amount, reference=order.id)
    await shop.hook(other.id)
    assert await shop.granted(ada) == 0
    assert not await shop.months(ada)
    assert len(await need_attention(shop)) == 4


async def test_a_month_begins_and_ends_by_the_clock_alone(shop: Shop) -> None:
    ada = await shop.account("ada")
    await shop.buy(ada, "pro")
    read = await shop.read(ada)
    assert (read.plan, read.lapsed_plan, await shop.left(ada)) == ("pro", "free", 1000)
    await shop.buy(ada, "pro")
    assert [month.state for month in await shop.months(ada)] == ["running", "ahead"]
    assert await shop.speak(ada, 400)
    shop.clock.seconds += 31 * DAY_S
    assert (await shop.read(ada)).plan == "pro"
    assert await shop.left(ada) == 1000
    assert await shop.speak(ada, 1000)
    assert not await shop.speak(ada, 1)
    shop.clock.seconds += 31 * DAY_S
    assert (await shop.read(ada)).plan == "free", "no task has run"
    await shop.work()
    assert [month.state for month in await shop.months(ada)] == ["past", "past"]
    (row,) = await shop.clock.read("SELECT plan, paid_until FROM accounts WHERE id = :id", {"id": ada})
    assert (row["plan"], row["paid_until"]) == ("free", None)


async def test_a_worker_that_lost_its_lease_mails_nothing_about_a_month(shop: Shop, tmp_path: Path) -> None:
    ada = await shop.account("ada")
    await shop.buy(ada, "pro")
    async with mail_rig(shop.clock, tmp_path) as mail:
        mail.mails.recipients = recipients
        (month,) = await shop.months(ada)
        shop.clock.seconds = (month.ends - START) / 1e6 - DAY_S
        tasks = MonthTasks(shop.workers[0].ledger, mail.mails)
        tasks.sales = shop.orders.sales
        held = await MONTH_TASKS.take(shop.clock, month, SECOND_US)
        assert held is not None
        late = await tasks.work(held)
        assert late is not None
        shop.clock.seconds += 2
        assert await tasks.look()
        await tasks.finish()
        mails = await mail.rows()
        await tasks._write(held, late)
        assert await mail.rows() == mails != []


async def test_a_dearer_plan_begins_now_and_what_is_left_is_carried(shop: Shop) -> None:
    ada = await shop.account("ada")
    await shop.buy(ada, "mini")
    await shop.buy(ada, "mini")
    assert await shop.speak(ada, 30)
    await shop.later(9 * DAY_S)
    late = await shop.take(await shop.read(ada), 20)
    old = await shop.read(ada)
    await shop.buy(ada, "pro")
    assert late is not None
    assert await shop.granted(ada) == 100, "that of the month ahead"
    await shop.later(11)
    assert await shop.granted(ada) == 150, "all but what is held"
    # A slow upload of before: it finds the old pool empty.
    slow = await shop.take(old, 60)
    assert slow is not None
    assert slow.hold.held.split.allowance == 0
    await settle(slow)
    await settle(late)
    await shop.later(3 * DAY_S)
    assert (await shop.granted(ada), await shop.left(ada)) == (90, 1000)
    assert [month.carried // MICRO for month in await shop.months(ada)] == [50, 100, 0]


async def test_a_change_on_the_same_day_carries_what_is_left(shop: Shop) -> None:
    ada = await shop.account("ada")
    await shop.buy(ada, "pro")
    assert await shop.speak(ada, 900)
    await shop.later(60)
    await shop.buy(ada, "mini")
    assert (await shop.granted(ada), await shop.left(ada)) == (100, 100)
    await shop.later(40 * DAY_S)
    assert (await shop.granted(ada), await shop.left(ada)) == (100, 0)


async def test_what_a_request_holds_is_not_carried_on_the_same_day(shop: Shop) -> None:
    ada = await shop.account("ada")
    await shop.buy(ada, "pro")
    held = await shop.take(await shop.read(ada), 300)
    await shop.buy(ada, "mini")
    assert held is not None
    await settle(held)
    assert (await shop.granted(ada), await shop.left(ada)) == (700, 100)


async def test_an_account_that_closes_before_a_carry_gets_none(shop: Shop) -> None:
    ada = await shop.account("ada")
    await shop.buy(ada, "mini")
    await shop.later(9 * DAY_S)
    await shop.buy(ada, "pro")
    await accounts.close(shop.clock, ada)
    await shop.later(60)
    assert await shop.granted(ada) == 0


async def test_what_a_free_plan_spent_that_day_is_given_back(shop: Shop) -> None:
    ada = await shop.account("ada", "studio")
    assert await shop.speak(ada, 70)
    await shop.buy(ada, "mini")
    assert await shop.left(ada) == 100


async def test_a_dispute_ends_a_month_and_a_won_one_gives_back_what_was_left(shop: Shop) -> None:
    ada = await shop.account("ada")
    await shop.buy(ada, "pro")
    (order,) = await ORDERS.page(shop.clock, ada, *_ALL)
    assert await shop.speak(ada, 900)
    await shop.later(DAY_S)
    shop.provider.dispute("1")
    await shop.hook(order.id)
    assert ((await shop.read(ada)).plan, await shop.left(ada)) == ("free", 0)
    assert (await shop.orders.find_order(ada, order.id)).state == "disputed"
    assert Trouble("dispute", order.id) in await shop.orders.troubles()
    await shop.buy(ada, "mini")
    shop.provider.win("1")
    await shop.hook(order.id)
    assert ((await shop.read(ada)).plan, await shop.granted(ada)) == ("mini", 100)
    await shop.buy(ada, "small")
    shop.provider.dispute("1")
    await shop.hook(order.id)
    assert await shop.granted(ada) == 500


async def test_a_refund_of_each_month_changes_that_month_alone(shop: Shop) -> None:
    ada = await shop.account("ada")
    orders = [await shop.order(ada, "pro") for _ in range(3)]
    paid = []
    for order in orders:
        paid.append(shop.provider.pay(order))
        await shop.hook(order.id)
    ends = [month.ends for month in await shop.months(ada)]
    shop.provider.refund(paid[1], 4990)
    await _wake_all(shop, ada)
    months = {month.id[-1]: month for month in await shop.months(ada)}
    assert months["2"].state == "dropped"
    assert months["3"].ends == ends[1]
    shop.provider.refund(paid[0], 100)
    await _wake_all(shop, ada)
    assert (await shop.months(ada))[0].state == "running", "a part changes no month"
    await shop.later(5 * DAY_S)
    shop.provider.refund(paid[0], 4890)
    await _wake_all(shop, ada)
    last = (await shop.months(ada))[-1]
    assert (last.state, last.starts) == ("running", await shop.clock.now())
    await shop.later(40 * DAY_S)
    shop.provider.refund(paid[2], 4990)
    await _wake_all(shop, ada)
    assert len(await need_attention(shop)) == 1, "nothing is left of a past one"


async def test_two_accounts_may_send_the_same_key_and_one_gets_its_own_order_again(shop: Shop) -> None:
    ada, bob = await shop.account("ada"), await shop.account("bob")
    orders = [await shop.order(account, "small", key="1") for account in (ada, bob, ada)]
    assert [order.account for order in orders] == [ada, bob, ada]
    assert len({order.id for order in orders}) == 2


async def test_money_for_a_closed_account_is_kept_and_needs_attention(shop: Shop) -> None:
    ada = await shop.account("ada")
    order, month = await shop.order(ada, "small"), await shop.order(ada, "pro")
    await accounts.close(shop.clock, ada)
    shop.provider.pay(order)
    shop.provider.pay(month)
    await _wake_all(shop, ada)
    assert await shop.granted(ada) == 0
    assert not await shop.months(ada)
    assert len(await need_attention(shop)) == 2
    assert len(await shop.orders.payments_of(order.id)) == 1


async def test_a_closing_between_the_reading_and_the_commit_refuses_the_booking(shop: Shop) -> None:
    ada = await shop.account("ada")
    order = await shop.order(ada, "small")
    shop.provider.pay(order)
    shop.clock.may_answer.clear()
    shop.clock.was_asked.clear()
    booking = asyncio.create_task(shop.workers[0].booking.book(order, [], [shop.provider.paid["1"]]))
    await shop.clock.was_asked.wait()
    await accounts.close(shop.clock, ada)
    shop.clock.may_answer.set()
    with pytest.raises(AlreadyExists):
        await booking
    assert await shop.granted(ada) == 0


async def test_an_operators_plan_ends_paid_months_and_what_is_left_is_carried(shop: Shop) -> None:
    ada = await shop.account("ada")
    await shop.buy(ada, "pro")
    await shop.buy(ada, "pro")
    assert await shop.speak(ada, 300)
    await shop.later(2 * DAY_S)
    await set_plan(shop, ada, "mini")
    assert (await shop.read(ada)).paid_until is None
    assert await shop.speak(ada, 0)
    await shop.later(60)
    assert (await shop.granted(ada), await shop.left(ada)) == (1700, 100)
    await shop.buy(ada, "small")
    await shop.later(DAY_S)
    await shop.buy(ada, "pro")
    await set_plan(shop, ada, "pro")
    await shop.later(60 * DAY_S)
    assert (await shop.read(ada)).plan == "pro", "for good"


async def test_a_request_of_an_unlimited_plan_that_speaks_nothing_is_no_gift_to_the_next(shop: Shop) -> None:
    ada = await shop.account("ada")
    await shop.buy(ada, "studio")
    assert await shop.speak(ada, 700)
    held = await shop.take(await shop.read(ada), 5000)
    await shop.buy(ada, "mini")
    assert held is not None
    await held.abandon()
    assert (await shop.granted(ada), await shop.left(ada)) == (0, 100)


async def test_orders_settle_without_any_webhook(shop: Shop) -> None:
    ada = await shop.account("ada")
    order = await shop.order(ada, "small")
    for minutes in (1, 4, 25, 30):
        await shop.later(minutes * 60)
    shop.provider.pay(order)
    await shop.later(3600)
    assert await shop.granted(ada) == 500
    shop.provider.refund("1", 2990)
    await shop.later(DAY_S)
    assert await shop.granted(ada) == 0
    assert (await shop.orders.find_order(ada, order.id)).due > await shop.clock.now() + SECOND_US


async def test_a_wake_during_an_attempt_causes_another(shop: Shop) -> None:
    ada = await shop.account("ada")
    order = await shop.order(ada, "small")

    async def at(point: str) -> None:
        if point == "after the fetch" and not shop.provider.paid:
            shop.provider.pay(order)
            await shop.orders.wake_order("mercadopago", order.id)

    shop.provider.at = at
    await shop.orders.wake_order("mercadopago", order.id)
    await shop.workers[0].look()
    await shop.work()
    assert await shop.granted(ada) == 500


async def test_a_payment_has_one_receipt_whatever_becomes_of_it(shop: Shop, tmp_path: Path) -> None:
    ada = await shop.account("ada")
    order = await shop.order(ada, "small")
    id_ = shop.provider.pay(order)
    async with mail_rig(shop.clock, tmp_path) as mail:
        mail.mails.recipients = recipients
        booking = Booking(shop.workers[0].ledger, mail.mails)
        booking.sales = shop.orders.sales
        for _ in range(2):
            rows = await shop.orders.payments_of(order.id)
            assert await booking.book(order, rows, [shop.provider.paid[id_]])
            shop.provider.refund(id_, 1000)
        assert len(await mail.rows()) == 1


async def test_orders_that_have_expired_leave_room_for_others(shop: Shop) -> None:
    ada = await shop.account("ada")
    for _ in range(5):
        await shop.order(ada, "small")
    with pytest.raises(NotAllowed):
        await shop.order(ada, "small")
    shop.clock.seconds += DAY_S
    assert (await shop.order(ada, "small")).url


class _Refunding(TinyProvider):
    """While a payment is fetched, it is refunded, and a webhook says so."""

    events: EventTasks

    async def find_payment(self, object_id: str) -> FetchedPayment | None:
        found = self.paid[object_id]
        if not found.refunded:
            self.refund(object_id, 1000)
            await self.events.note_webhook(self.name, object_id)
        return found


async def test_a_webhook_during_a_fetch_causes_another_fetch(shop: Shop) -> None:
    shop.use(provider := _Refunding())
    ada = await shop.account("ada")
    id_ = provider.pay(await shop.order(ada, "small"))
    provider.events = EventTasks(
        shop.clock, shop.orders.wake_order, shop.workers[0].order_tasks.book_named_payment
    )
    provider.events.providers = {provider.name: provider}
    await provider.events.note_webhook(provider.name, id_)
    for _ in range(2):
        await provider.events.look()
        await provider.events.finish()
    assert await shop.granted(ada) == 332.775919


async def need_attention(shop: Shop) -> list[Trouble]:
    return [each for each in await shop.orders.troubles() if each.kind == "order_attention"]


async def _wake_all(shop: Shop, account: str) -> None:
    for order in await ORDERS.page(shop.clock, account, *_ALL):
        await shop.hook(order.id)
