"""The rows of orders, payments, events, paid months and changes of plans."""

from __future__ import annotations

from typing import Literal

import msgspec

from policies.paid_months import MonthState
from policies.payments import OrderState
from policies.tasks import QueuedTask
from proxy.storage.listed_tables import ListedTable
from proxy.storage.rows import LAST_MOMENT
from proxy.storage.store import Store
from proxy.storage.tables import Table
from proxy.storage.task_tables import TaskTable

NEVER = LAST_MOMENT
"""The `due` of a row that needs no more attempts. A wake makes it due again."""
_IS_OPEN = f"due < {NEVER}"


class OrderRecord(QueuedTask, frozen=True, kw_only=True):
    """An order. Its values are those of the offer when it was made. See the migration for the columns."""

    id: str
    account: str
    provider: str
    seller: str
    is_live: int
    kind: Literal["plan", "pack"]
    offer: str
    title: str
    credits: int
    allowance: int | None = None
    amount: int
    currency: str
    created: int
    expires: int
    checkout: str = ""
    url: str = ""
    state: OrderState = "open"
    paid: int | None = None
    attention: str = ""
    resolved: str = ""
    wakes: int = 0
    looked: int = 0


class PaymentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A payment as it was last booked. `credits` are those of its order, `credited` is the sum of its
    entries, which are numbered up to `booked`."""

    id: str
    order_id: str
    account: str
    amount: int
    currency: str
    refunded: int
    disputed: int
    credits: int
    credited: int
    booked: int
    created: int
    changed: int


class EventRecord(QueuedTask, frozen=True, kw_only=True):
    """An object of a provider that webhooks named, `received` times. `account` is ""."""

    id: str
    account: str = ""
    received: int = 1
    created: int
    changed: int


class MonthRecord(QueuedTask, frozen=True, kw_only=True):
    """A month of a plan, as a task. See `policies.paid_months.Month`."""

    id: str
    account: str
    plan: str
    allowance: int | None
    starts: int
    ends: int
    state: MonthState
    is_kept: int = 1
    replaced: int | None = None
    shares_pool: int = 0
    carried: int = 0
    moved: int = 0
    mailed: int = 0


ORDERS = ListedTable("orders", OrderRecord)
PAYMENTS = ListedTable("payments", PaymentRecord)
ORDER_TASKS = TaskTable("orders", OrderRecord, _IS_OPEN)
EVENT_TASKS = TaskTable("payment_events", EventRecord, _IS_OPEN)
MONTH_TASKS = TaskTable("paid_months", MonthRecord, _IS_OPEN)
NUMBERED = """
INSERT INTO plan_changes (account, number, at)
SELECT :account, (SELECT coalesce(max(number), 0) + 1 FROM plan_changes WHERE account = :account), :at
WHERE 1 = 1
"""
"""Makes what another unit of the account read before too old to be committed."""
TABLES = (
    Table("orders"),
    Table("payments"),
    Table("payment_events"),
    Table("paid_months"),
    Table("plan_changes", key=("account", "number")),
)
_OF_ORDER = f"{PAYMENTS.select} order_id = :order ORDER BY id"


async def payments_of(store: Store, order: str) -> list[PaymentRecord]:
    return [PAYMENTS.read(row) for row in await store.read(_OF_ORDER, {"order": order})]
