"""Orders as tasks: each asks its provider for its payments, by itself, and after a webhook or a look."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

from proxy.errors import NotFound
from proxy.features.payments import records
from proxy.features.payments import rules as payments
from proxy.features.payments.booking import Booking
from proxy.features.payments.order_store import OrderStore
from proxy.features.payments.provider import FetchedPayment, ProviderFailed
from proxy.features.payments.records import NEVER, OrderRecord, PaymentRecord
from proxy.queue.tasks import Delayed, Result, TaskKind
from proxy.storage.store import AlreadyExists, Condition, Params, Store

_TRIES = 5


class OrderTasks(TaskKind[OrderRecord]):
    """The orders of one worker. `settled` is called with an account of which a payment was booked."""

    name = "orders"
    table = records.ORDER_TASKS
    most_at_once = 16
    may_outlive_worker = False

    def __init__(self, store: Store, orders: OrderStore, booking: Booking) -> None:
        super().__init__(store)
        self.settled: Callable[[str], None] = lambda _account: None
        self._orders = orders
        self._booking = booking

    def concurrency_limits(self, queued: OrderRecord) -> Mapping[Hashable, int]:
        """A provider that hangs must not fill the places of the other."""
        return {"": self.most_at_once, queued.provider: self.most_at_once // 2}

    def commit_condition(self, held: OrderRecord) -> Condition:
        """A wake during the attempt causes another one."""
        return Condition("wakes = :wakes_seen", {"wakes_seen": held.wakes})

    async def work(self, held: OrderRecord) -> Result:
        provider = self._orders.sales.providers.get(held.provider)
        if provider is None:
            return await self._later(held, f"[payments.{held.provider}] is not set")
        for _ in range(_TRIES):
            rows = await self._orders.payments_of(held.id)
            try:
                order = await self._orders.with_checkout(held)
                if order.cancelled is not None and order.url:
                    # First, so that nothing is paid after the look at its payments.
                    await provider.end_checkout(order.checkout, order.expires)
                fetched = await provider.payments_of(held.id, order.checkout)
            except ProviderFailed as error:
                if error.is_final:
                    return await self._later(held, error.reason)
                return Delayed(error.reason, error.retry_after_s)
            try:
                if await self._booking.book(order, rows, fetched):
                    self.settled(order.account)
            except AlreadyExists:
                continue
            return await self._later(held, rows=rows, is_ended=order.cancelled is not None)
        return Delayed("Its bookings were refused: another worker books, or a reference is taken.", 1.0)

    async def book(self, provider: str, rows: Sequence[PaymentRecord], fetched: FetchedPayment) -> None:
        """Book a payment that a webhook named: a search for those of its order may not list it yet."""
        try:
            order = await self._orders.find_order(None, fetched.reference)
        except NotFound:
            return
        if order.provider == provider and await self._booking.book(order, rows, [fetched]):
            self.settled(order.account)

    async def _later(
        self,
        held: OrderRecord,
        error: str = "",
        rows: Sequence[PaymentRecord] = (),
        *,
        is_ended: bool = False,
    ) -> Delayed:
        order = await self._orders.find_order(None, held.id)
        now = await self._store.now()
        due = payments.next_look(created=order.created, expires=order.expires, paid=order.paid, now=now)
        if due is None and error:
            due = payments.look_again(created=order.created, now=now)
        due = min(NEVER if due is None else due, self._booking.look_again(rows))
        ended: Params = {"url": ""} if is_ended else {}
        return Delayed(error, is_try=False, values={"due": due, "tries": 0, **ended})
