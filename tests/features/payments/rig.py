"""A shop on a store with a clock of its own: a provider in memory, and workers that book what it says."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

import msgspec

from policies.cycles import cycle_at
from policies.plans import Plan, Prices, build_terms
from policies.price import MICRO, Price
from proxy.errors import QuotaExceeded
from proxy.features.mail.mails import Mails
from proxy.features.payments import records
from proxy.features.payments.booking import Booking
from proxy.features.payments.month_tasks import MonthTasks
from proxy.features.payments.offers import Sales
from proxy.features.payments.order_store import NewOrder, OrderStore
from proxy.features.payments.order_tasks import OrderTasks
from proxy.features.payments.provider import Checkout, CheckoutRequest, FetchedPayment, ProviderWebhook
from proxy.features.payments.records import MonthRecord, OrderRecord
from proxy.features.payments.section import PaymentsSection, SoldOffer
from proxy.ledger import HoldRequest, Ledger, open_ledger
from proxy.storage import accounts, audit, entries
from proxy.storage.accounts import Account, Change
from proxy.storage.store import Statement, Store
from proxy.telemetry.metrics import Metrics
from tests.proxy.ledger.asking import Held, heard
from tests.proxy.storage.watched import WatchedStore

START = 1_763_980_000_000_000
"""2025-11-24, in the morning."""
DAY_S = 86_400.0
SPEECH = Prices(speech=Price(60 * MICRO, "minute"))
ALLOWANCES = {"free": 0, "mini": 100, "pro": 1000, "studio": None}


def _plan(name: str, allowance: int | None) -> Plan:
    return Plan(
        name=name,
        price="" if name == "free" else "R$",
        allowance=None if allowance is None else allowance * MICRO,
        prices=SPEECH,
    )


PLANS = {name: _plan(name, allowance) for name, allowance in ALLOWANCES.items()}


def _offer(name: str, amount: int, credits: int = 0) -> SoldOffer:
    kind = "pack" if credits else "plan"
    return SoldOffer(
        name=name,
        kind=kind,  # type: ignore[arg-type] # mypy widens the choice
        amount=amount,
        currency="BRL",
        providers=("mercadopago",),
        credits=credits * MICRO,
    )


OFFERS = {
    "small": _offer("small", 2990, 500),
    "mini": _offer("mini", 990),
    "pro": _offer("pro", 4990),
    "studio": _offer("studio", 19990),
}


async def _pass(_point: str) -> None:
    """Let a call go on."""


class TinyProvider:
    """A provider in memory. `before` is called before and after each of its calls, with the call's name."""

    name = "mercadopago"
    seller = "77"
    is_live = False

    def __init__(self) -> None:
        self.checkouts: dict[str, CheckoutRequest] = {}
        self.paid: dict[str, FetchedPayment] = {}
        self.ended: dict[str, int] = {}
        """The checkouts that were ended, each with its moment."""
        self.save: Callable[[], None] = lambda: None
        """Notes what outlives a kill of our process."""
        self.prefix = ""
        self.old: list[dict[str, FetchedPayment]] = []
        """What the next fetches see, in order: an answer that was long on its way."""
        self.at: Callable[[str], Awaitable[None]] = _pass

    async def create_checkout(self, request: CheckoutRequest) -> Checkout:
        await self.at("before the checkout")
        made = self.checkouts.setdefault(request.order, request)
        assert made == request, "a second call has the same values"
        await self.at("after the checkout")
        return Checkout(f"pref-{request.order}", f"https://pay.example.org/{request.order}")

    async def end_checkout(self, checkout: str, at: int) -> None:
        await self.at("before the end")
        assert self.ended.setdefault(checkout, at) == at, "a second call has the same values"
        self.save()
        await self.at("after the end")

    async def payments_of(self, order: str, checkout: str) -> list[FetchedPayment]:
        assert checkout in ("", f"pref-{order}")
        await self.at("before the fetch")
        seen = self.old.pop(0) if self.old else self.paid
        found = [payment for payment in seen.values() if payment.reference == order]
        await self.at("after the fetch")
        return found

    async def find_payment(self, object_id: str) -> FetchedPayment | None:
        return self.paid.get(object_id)

    async def payments_since(self, moment: int) -> AsyncIterator[FetchedPayment]:
        del moment
        for payment in self.paid.values():
            yield payment

    def webhook_object(self, request: ProviderWebhook) -> str | None:
        del request
        return None

    def pay(self, order: OrderRecord, **others: object) -> str:
        """Pay an order at its checkout, and return the payment's id."""
        id_ = f"{self.prefix}{len(self.paid) + 1}"
        payment = FetchedPayment(
            id=id_,
            reference=order.id,
            amount=order.amount,
            currency=order.currency,
            seller=self.seller,
            is_live=False,
            is_paid=True,
        )
        self.paid[id_] = msgspec.structs.replace(payment, **others)
        return id_

    def change(self, id_: str, **others: object) -> None:
        self.paid[id_] = msgspec.structs.replace(self.paid[id_], **others)

    def refund(self, id_: str, amount: int) -> None:
        was = self.paid[id_]
        refunded = min(was.amount, was.refunded + amount)
        self.change(id_, refunded=refunded, disputed=min(was.disputed, was.amount - refunded))

    def dispute(self, id_: str) -> None:
        was = self.paid[id_]
        self.change(id_, disputed=was.amount - was.refunded)

    def win(self, id_: str) -> None:
        if self.paid[id_].disputed:
            self.change(id_, disputed=0, seller_won_dispute=True)


class Worker(NamedTuple):
    """What one process does of itself."""

    ledger: Ledger
    booking: Booking
    order_tasks: OrderTasks
    month_tasks: MonthTasks
    mails: Mails | None

    async def look(self) -> int:
        """Do once what is due, and return how much it was."""
        done = 0
        for kind in (self.order_tasks, self.month_tasks, *([self.mails] if self.mails else ())):
            done += len(await kind.look())
            await kind.finish()
        return done


def _no_mails() -> None:
    """Send no mails."""


class Shop:
    """Accounts that order, pay and speak, at a time that only the test moves."""

    def __init__(
        self,
        clock: WatchedStore,
        ledgers: Sequence[Ledger],
        new_mails: Callable[[], Mails | None] = _no_mails,
    ) -> None:
        self.clock = clock
        self._new_mails = new_mails
        self.orders = OrderStore(ledgers[0])
        section = PaymentsSection(
            plans={name: offer for name, offer in OFFERS.items() if offer.kind == "plan"},
            packs={"small": OFFERS["small"]},
        )
        self._section = section
        self.workers = [self._worker(ledger) for ledger in ledgers]
        self.use(TinyProvider())
        self.requests = 0

    def _worker(self, ledger: Ledger) -> Worker:
        mails = self._new_mails()
        booking, months = Booking(ledger, mails), MonthTasks(ledger, mails)
        return Worker(ledger, booking, OrderTasks(self.clock, self.orders, booking), months, mails)

    def use(self, provider: TinyProvider, plans: Mapping[str, Plan] = PLANS) -> None:
        self.provider = provider
        sales = Sales(self._section, plans, {"mercadopago": provider}, "free", "https://v.test")
        self.orders.sales = sales
        for worker in self.workers:
            worker.booking.sales = worker.month_tasks.sales = sales

    def restart(self) -> None:
        """Let each worker forget what it has in memory."""
        self.workers = [self._worker(worker.ledger) for worker in self.workers]
        self.use(self.provider)

    async def account(self, name: str, plan: str = "free") -> str:
        return (await accounts.create(self.clock, name=name, plan=plan)).id

    async def read(self, account: str) -> Account:
        found = await accounts.get(self.clock, account)
        assert found is not None
        return found

    async def order(self, account: str, offer: str, key: str | None = None) -> OrderRecord:
        new = NewOrder(OFFERS[offer], "mercadopago", key)
        begun = await self.orders.commit_order(await self.read(account), new)
        return await self.orders.with_checkout(begun)

    async def cancel(self, order: OrderRecord) -> OrderRecord:
        act = audit.new_act(await self.clock.now(), "key_ada", "order.cancelled", order.id, order.account)
        return await self.orders.cancel_order(order, act)

    async def buy(self, account: str, offer: str) -> str:
        """Order, pay and have it booked; return the payment's id."""
        order = await self.order(account, offer)
        id_ = self.provider.pay(order)
        await self.hook(order.id)
        return id_

    async def hook(self, order: str) -> None:
        """What a webhook comes to, and all that is due then."""
        await self.orders.wake_order("mercadopago", order)
        await self.work()

    async def work(self) -> None:
        """Do what is due, until nothing is."""
        for _ in range(30):
            if not sum([await worker.look() for worker in self.workers]):
                return
        raise AssertionError("something is due again and again")

    async def later(self, seconds: float) -> None:
        self.clock.seconds += seconds
        await self.work()

    async def take(self, account: Account, credits: int, worker: int = 0) -> Held | None:
        """Begin a request as this reading of the account allows it; None: it is refused."""
        self.requests += 1
        request = HoldRequest(
            request_id=f"req_{account.id}_{self.requests}",
            account=account.id,
            key=f"key_{account.id}",
            anchor=account.anchor,
            terms=build_terms(PLANS[account.plan], account.agreed),
            amount=credits * MICRO,
            estimated_s=float(credits),
        )
        try:
            return Held(await self.workers[worker].ledger.hold(request))
        except QuotaExceeded:
            return None

    async def speak(self, account: str, credits: int) -> bool:
        held = await self.take(await self.read(account), credits)
        if held is not None:
            await settle(held)
        return held is not None

    async def granted(self, account: str) -> float:
        return (await entries.read_pools(self.clock, account)).get(entries.GRANTED, 0) / MICRO

    async def left(self, account: str) -> float:
        """What is left of the allowance of the plan in force."""
        read = await self.read(account)
        pool = cycle_at(read.anchor, await self.clock.now()).start
        allowance = PLANS[read.plan].allowance
        assert isinstance(allowance, int)
        return (allowance + (await entries.read_pools(self.clock, account)).get(pool, 0)) / MICRO

    async def months(self, account: str) -> list[MonthRecord]:
        rows = await self.clock.read(
            f"SELECT {', '.join(MonthRecord.__struct_fields__)} FROM paid_months "
            "WHERE account = :account ORDER BY ordered, id",
            {"account": account},
        )
        return [msgspec.convert(row, MonthRecord) for row in rows]

    async def entries(self, account: str) -> dict[str, int]:
        """The entries of an account that have a reference."""
        rows = await self.clock.read(
            "SELECT reference, amount FROM entries WHERE account = :account AND reference IS NOT NULL",
            {"account": account},
        )
        return {row["reference"]: row["amount"] for row in rows}

    async def end_all(self) -> None:
        """Let nothing of earlier accounts be due any more."""
        for table in ("orders", "paid_months"):
            await self.clock.write(Statement(f"UPDATE {table} SET due = {records.NEVER}, lease = 0"))


async def settle(held: Held) -> None:
    """End a request that spoke as long as it was expected to."""
    heard(held, held.hold_request.estimated_s)
    await held.settle("finished")


async def set_plan(shop: Shop, account: str, plan: str) -> None:
    async def decide(read: Account) -> Change:
        return Change(plan, read.agreed, sets_plan=True)

    assert isinstance(await accounts.change(shop.clock, account, decide), Account)


@asynccontextmanager
async def shop_on(store: Store, workers: int = 1) -> AsyncIterator[Shop]:
    """A shop whose workers have holds of their own on a shared database."""
    async with AsyncExitStack() as stack:
        clock = WatchedStore(store, START)
        ledgers = [
            await stack.enter_async_context(open_ledger(clock, Metrics()))
            for _ in range(workers if store.is_shared else 1)
        ]
        yield Shop(clock, [ledgers[number % len(ledgers)] for number in range(workers)])
