"""The task of each order asks the provider for its payments: at times of its own, and after a webhook or a
look."""

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
    """The tasks of orders in one worker. `on_booked` is called with the account of each booked payment."""

    name = "orders"
    table = records.ORDER_TASKS
    most_at_once = 16
    may_outlive_worker = False

    def __init__(self, store: Store, orders: OrderStore, booking: Booking) -> None:
        super().__init__(store)
        self.on_booked: Callable[[str], None] = lambda _account: None
        self._orders = orders
        self._booking = booking

    def concurrency_limits(self, queued: OrderRecord) -> Mapping[Hashable, int]:
        """Give each provider half of the places, so that a provider that hangs does not block the other."""
        return {"": self.most_at_once, queued.provider: self.most_at_once // 2}

    def commit_condition(self, held: OrderRecord) -> Condition:
        """If the order was woken during the attempt, the result is refused and the task runs again."""
        return Condition("wakes = :wakes_seen", {"wakes_seen": held.wakes})

    async def work(self, held: OrderRecord) -> Result:
        provider = self._orders.sales.providers.get(held.provider)
        if provider is None:
            return await self._look_later(held, f"[payments.{held.provider}] is not set")
        for _ in range(_TRIES):
            rows = await self._orders.payments_of(held.id)
            try:
                order = await self._orders.with_checkout(held)
                if order.cancelled is not None and order.url:
                    # Before the payments are fetched, so that none comes after.
                    await provider.end_checkout(order.checkout, order.expires)
                fetched = await provider.payments_of(held.id, order.checkout)
            except ProviderFailed as error:
                if error.is_final:
                    return await self._look_later(held, error.reason)
                return Delayed(error.reason, error.retry_after_s)
            try:
                if await self._booking.book(order, rows, fetched):
                    self.on_booked(order.account)
            except AlreadyExists:
                continue
            return await self._look_later(held, is_ended=order.cancelled is not None)
        return Delayed("Its bookings were refused: another worker books, or a reference is taken.", 1.0)

    async def book_named_payment(
        self, provider: str, rows: Sequence[PaymentRecord], fetched: FetchedPayment
    ) -> None:
        """Book a payment that a webhook named: a search for those of its order may not list it yet."""
        try:
            order = await self._orders.find_order(None, fetched.reference)
        except NotFound:
            return
        if order.provider == provider and await self._booking.book(order, rows, [fetched]):
            self.on_booked(order.account)

    async def _look_later(self, held: OrderRecord, error: str = "", *, is_ended: bool = False) -> Delayed:
        order, rows = await self._orders.find_order(None, held.id), await self._orders.payments_of(held.id)
        now = await self._store.now()
        due = payments.next_look(created=order.created, expires=order.expires, paid=order.paid, now=now)
        if due is None and error:
            due = payments.next_look_after_refusal(created=order.created, now=now)
        # A second look at a refund that found nothing is tried again a day later.
        checks = [row.refund_check for row in rows if row.refund_check is not None]
        due = min(due or NEVER, *[each if each > now else now + payments.DAY_US for each in checks], NEVER)
        # The checkout was ended, so no payment is possible at its address.
        ended: Params = {"url": ""} if is_ended else {}
        return Delayed(error, is_try=False, values={"due": due, "tries": 0, **ended})
