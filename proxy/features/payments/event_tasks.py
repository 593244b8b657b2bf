"""The task of each payment event: it fetches the payment that a webhook named, books it, and wakes its
order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping

import structlog

from policies.tasks import SECOND_US
from proxy.features.payments import records
from proxy.features.payments.provider import FetchedPayment, Provider, ProviderFailed
from proxy.features.payments.records import EVENT_TASKS, NEVER, EventRecord, PaymentRecord
from proxy.queue.tasks import Delayed, Done, Result, TaskKind
from proxy.storage.store import AlreadyExists, Condition, Statement, Store

_DELETE_AFTER_US = 30 * 86_400 * SECOND_US
_HOUR_S = 3600.0
_UPSERT_EVENT = """
INSERT INTO payment_events (id, account, received, created, changed, due)
VALUES (:id, '', 1, CAST(:now AS BIGINT), CAST(:now AS BIGINT), CAST(:now AS BIGINT))
ON CONFLICT (id) DO UPDATE SET received = payment_events.received + 1, changed = CAST(:now AS BIGINT),
    due = CAST(:now AS BIGINT), tries = 0
"""
_DELETE = "DELETE FROM payment_events WHERE changed < :before AND lease <= :now"
_TRIES = 5

_log = structlog.get_logger()

Book = Callable[[str, list[PaymentRecord], FetchedPayment], Awaitable[None]]
"""Books a payment. Its row was read before the payment was fetched. Raises AlreadyExists if the row has
changed since."""


class EventTasks(TaskKind[EventRecord]):
    """The events of one worker.

    `wake` wakes an order of a provider, and tells whether there is one. `book` books the payment first, since
    the order's own search may not list it yet.
    """

    name = "payment events"
    table = EVENT_TASKS
    may_outlive_worker = False

    def __init__(self, store: Store, wake: Callable[[str, str], Awaitable[bool]], book: Book) -> None:
        super().__init__(store)
        self.providers: Mapping[str, Provider] = {}
        self._wake_order = wake
        self._book = book

    def concurrency_limits(self, queued: EventRecord) -> Mapping[Hashable, int]:
        """Give each provider half of the places, so that a provider that hangs does not block the other."""
        return {"": self.most_at_once, queued.id.partition(":")[0]: self.most_at_once // 2}

    async def note_webhook(self, provider: str, object_id: str) -> None:
        """Note a webhook about an object. One that comes during a fetch causes another fetch."""
        now = await self._store.now()
        await self._store.write(Statement(_UPSERT_EVENT, {"id": f"{provider}:{object_id}", "now": now}))
        self.look_now()

    async def work(self, held: EventRecord) -> Result:
        name, _, object_id = held.id.partition(":")
        if (provider := self.providers.get(name)) is None:
            return Delayed("The provider is not configured.", _HOUR_S, is_try=False)
        for _ in range(_TRIES):
            rows = await records.payment_by_id(self._store, held.id)
            try:
                payment = await provider.find_payment(object_id)
            except ProviderFailed as error:
                return Delayed(error.reason, error.retry_after_s)
            reference = "" if payment is None else payment.reference
            try:
                # `rows` belong to `object_id`. A payment with another id has another row, which was not read.
                if payment is not None and payment.id == object_id:
                    await self._book(name, rows, payment)
            except AlreadyExists:
                continue
            if not (reference and await self._wake_order(name, reference)):
                _log.warning("payments.event.unknown", provider=name)
            return Done({"due": NEVER})
        return Delayed("Its booking was refused: another worker books, or a reference is taken.", 1.0)

    def commit_condition(self, held: EventRecord) -> Condition:
        """A webhook that came during the fetch raised `received`. The task then fetches again."""
        return Condition("received = :event_received", {"event_received": held.received})

    async def delete_old(self) -> None:
        now = await self._store.now()
        await self._store.write(Statement(_DELETE, {"before": now - _DELETE_AFTER_US, "now": now}))
