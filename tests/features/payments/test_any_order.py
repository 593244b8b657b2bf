"""Any order of payments, refunds, disputes, webhooks, speech and plans: at rest each credit has its place."""

import asyncio
import math
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from policies.cycles import start_of_day
from proxy.errors import Conflict, NotAllowed
from proxy.feature_list import open_store
from proxy.features.admin.verify import verify
from proxy.features.payments.paid_months import Month, unspent_allowance
from proxy.features.payments.plan_changes import month_of
from proxy.features.payments.records import OrderRecord
from proxy.features.payments.rules import PaidAmount, credits_worth
from proxy.storage import accounts, entries
from proxy.storage.accounts import Account, Change
from proxy.storage.rows import new_id
from proxy.storage.store import AlreadyExists
from tests.databases import Postgres, lay_tables
from tests.features.payments.rig import DAY_S, Shop, settle, shop_on
from tests.proxy.ledger.asking import Held
from tests.tables import soak

THREE_MONTHS_S = 93 * DAY_S
STEPS_S = (1, 4, 11, 3600, DAY_S, 6 * DAY_S, 17 * DAY_S, 31 * DAY_S)
# Ids are random and workers race, so what is refused may differ: nothing that is drawn depends on it.
PICKS = st.integers(0, 99)


class Market(RuleBasedStateMachine):
    """One account, two workers and a provider. Webhooks may be lost: what happens wakes an order or not."""

    new_url: Callable[[], str]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.opened = AsyncExitStack()
        self.shop: Shop = self.run(self._open())
        self.ada = self.run(self.shop.account(new_id("name")))
        # Examples on PostgreSQL share its tables.
        self.shop.provider.prefix = new_id("pay")
        self.old = self.run(self.shop.read(self.ada))
        self.old_at = 0.0
        self.has_given = self.has_spoken_late = False
        self.orders: list[OrderRecord] = []
        self.held: list[Held] = []

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    async def _open(self) -> Shop:
        folder = Path(self.opened.enter_context(tempfile.TemporaryDirectory()))
        if (url := type(self).new_url()) == "sqlite":
            lay_tables(folder)
        store = await self.opened.enter_async_context(open_store(url, folder))
        return await self.opened.enter_async_context(shop_on(store, workers=2))

    # What people do

    @rule(offer=st.sampled_from(["small", "mini", "mini", "pro", "pro"]), is_paid=st.booleans())
    def order(self, offer: str, is_paid: bool) -> None:
        try:
            order = self.run(self.shop.order(self.ada, offer))
        except (Conflict, NotAllowed) as refusal:
            event(type(refusal).__name__)
            return
        self.orders.append(order)
        if is_paid:
            self.shop.provider.pay(order)
            self.run(self.shop.hook(order.id))

    def picked(self, pick: int) -> list[OrderRecord]:
        return [self.orders[pick % len(self.orders)]] if self.orders else []

    @rule(pick=PICKS, times=st.sampled_from([1, 1, 2]))
    def pay(self, pick: int, times: int) -> None:
        for order in self.picked(pick) * times:
            self.shop.provider.pay(order)

    @rule(credits=st.sampled_from([1, 30, 90, 400, 1000]), is_slow=st.booleans(), is_old=st.booleans())
    def speak(self, credits: int, is_slow: bool, is_old: bool) -> None:
        """Also by a worker that knows the account as it was a moment ago."""
        is_old = is_old and self.shop.clock.seconds - self.old_at <= 5
        self.has_spoken_late |= is_old
        account = self.old if is_old else self.run(self.shop.read(self.ada))
        held = self.run(self.shop.take(account, credits, worker=credits % 2))
        self.held += [held] if held else []
        if not is_slow:
            self.settle()

    @rule()
    def settle(self) -> None:
        while self.held:
            self.run(settle(self.held.pop()))

    # What the provider does

    @rule(
        pick=PICKS,
        what=st.sampled_from(["part", "whole", "dispute", "win", "win"]),
        part=st.floats(0, 1, exclude_min=True),
    )
    def turn(self, pick: int, what: str, part: float) -> None:
        provider = self.shop.provider
        if not provider.paid:
            return
        id_ = sorted(provider.paid)[pick % len(provider.paid)]
        if what == "part":
            provider.refund(id_, math.ceil(part * provider.paid[id_].amount))
        elif what == "whole":
            provider.refund(id_, provider.paid[id_].amount)
        elif what == "dispute":
            provider.dispute(id_)
        else:
            provider.win(id_)

    @rule(pick=PICKS, times=st.integers(1, 3))
    def hook(self, pick: int, times: int) -> None:
        for order in self.picked(pick) * times:
            self.run(self.shop.hook(order.id))

    @rule(pick=PICKS, is_late=st.booleans())
    def race(self, pick: int, is_late: bool) -> None:
        """Two workers book at once, one by rows that are older than what the other fetched."""
        for order in self.picked(pick):
            self.run(self._race(order, is_late))

    async def _race(self, order: OrderRecord, is_late: bool) -> None:
        rows = await self.shop.orders.payments_of(order.id)
        old = await self.shop.provider.payments_of(order.id, "")
        if is_late:
            await self.shop.hook(order.id)
        results = await asyncio.gather(
            *(worker.booking.book(order, rows, old) for worker in self.shop.workers), return_exceptions=True
        )
        assert all(isinstance(result, bool | AlreadyExists) for result in results), results

    # What time and operators do

    @rule(seconds=st.sampled_from(STEPS_S), at=st.booleans())
    def wait(self, seconds: float, at: bool) -> None:
        """Workers may be down all the while."""
        if self.shop.clock.seconds + seconds > THREE_MONTHS_S:
            return
        self.old, self.old_at = self.run(self.shop.read(self.ada)), self.shop.clock.seconds
        if at:
            self.run(self.shop.later(seconds))
        else:
            self.shop.clock.seconds += seconds

    @rule(plan=st.sampled_from(["free", "mini", "pro"]), is_set=st.sampled_from([False, False, True]))
    def set_plan(self, plan: str, is_set: bool) -> None:
        async def decide(read: Account) -> Change:
            return Change(plan, read.agreed, sets_plan=True)

        if is_set:
            # What runs meanwhile settles under the operator's plan.
            self.has_given |= plan != "free" or bool(self.held)
            self.run(accounts.change(self.shop.clock, self.ada, decide))

    def teardown(self) -> None:
        self.settle()
        self.run(self._rest())
        self.run(self.opened.aclose())
        self.runner.close()

    async def _rest(self) -> None:
        """No webhook comes any more: all that is due in the next half year is done."""
        await self.shop.later(1)
        for _ in range(3):
            await self.shop.later(DAY_S)
        for order in self.orders:
            await self.shop.hook(order.id)
        for _ in range(4):
            await self.shop.later(DAY_S)
        assert (await verify(self.shop.clock)).contradictions == []
        rows = [row for order in self.orders for row in await self.shop.orders.payments_of(order.id)]
        assert {row.id for row in rows} == {f"mercadopago:{id_}" for id_ in self.shop.provider.paid}
        by_reference = await self.shop.entries(self.ada)
        for row in rows:
            paid = self.shop.provider.paid[row.id.partition(":")[2]]
            money = PaidAmount(paid.amount, paid.refunded, paid.disputed)
            assert (row.refunded, row.disputed) == (paid.refunded, paid.disputed)
            booked = sum(by_reference[f"pay:{row.id}:{number}"] for number in range(1, row.booked + 1))
            assert row.credited == credits_worth(row.credits, money) == booked
        months = {month.id: month for month in await self.shop.months(self.ada)}
        offers = {order.id: order.offer for order in self.orders}
        for row in rows:
            is_paid = row.amount > row.refunded + row.disputed and offers[row.order_id] != "small"
            month = months.get(row.id)
            is_granted = month is not None and bool(month.is_paid) and month.state != "dropped"
            assert is_granted == is_paid, (row, month)
        await self._conserved()

    async def _conserved(self) -> None:
        """Allowances bought = spent + left + carried, month by month. A plan that was given is not bought."""
        pools = await entries.read_pools(self.shop.clock, self.ada)
        months = [month_of(each) for each in await self.shop.months(self.ada)]
        back = await self._given_back(months)
        ended: Counter[int] = Counter()
        for month in months:
            if not month.has_run or month.state == "ahead":
                continue
            assert month.allowance is not None
            is_changed = month.replaced is not None and start_of_day(month.replaced) == month.pool
            if month.lost is not None:
                ended[month.pool] += month.allowance - month.lost
            elif month.pool_balance is not None:
                ended[month.pool] += month.allowance - unspent_allowance(month, month.pool_balance)
            elif is_changed:
                ended[month.pool] += month.allowance - month.carried
            elif not self.has_given and not is_changed:
                rest = month.allowance + pools.get(month.pool, 0)
                assert rest >= 0 or self.has_spoken_late, (month, rest)
        for pool in {*ended, *back}:
            if self.has_given or self.has_spoken_late:
                continue
            assert ended[pool] == back[pool], (pool, ended, back)

    async def _given_back(self, months: list[Month]) -> Counter[int]:
        """What was spent before a change of plan, and given back to the pool of both."""
        # Where an operator's plan goes on, a month's task does it.
        operators = {month.pool for month in months if month.pool_balance is not None}
        rows = await self.shop.clock.read(
            "SELECT pool, amount, reason FROM entries WHERE account = :account AND pool > 0 "
            "AND kind = 'correction'",
            {"account": self.ada},
        )
        back: Counter[int] = Counter()
        for row in rows:
            if row["pool"] in operators or not row["reason"].startswith("left"):
                back[row["pool"]] += row["amount"]
        for month in months:
            is_later = month.replaced is not None and start_of_day(month.replaced) > month.pool
            if month.pool in operators and month.pool_balance is None and is_later and month.lost is None:
                # Another task took what it carried out of the pool.
                back[month.pool] += month.carried
        return back


@pytest.fixture
def urls(request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    if request.param == "sqlite":
        yield lambda: "sqlite"
        return
    server: Postgres = request.getfixturevalue("shared_postgres")
    with server.lent_schema() as schema:
        yield lambda: server.url(search_path=schema)


def _run(urls: Callable[[], str], examples: int, steps: int) -> None:
    class OnThis(Market):
        new_url = staticmethod(urls)

    run_state_machine_as_test(
        OnThis,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize(
    ("urls", "examples", "steps"),
    [("sqlite", 10, 25), *soak(("sqlite", 1500, 60), ("postgresql", 60, 40))],
    indirect=["urls"],
)
def test_at_rest_each_credit_has_its_place(urls: Callable[[], str], examples: int, steps: int) -> None:
    _run(urls, examples, steps)
