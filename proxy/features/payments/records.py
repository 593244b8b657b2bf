"""The rows of orders, payments, events, paid months and changes of plans."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from policies.tasks import QueuedTask
from proxy.features.payments import checks
from proxy.features.payments.paid_months import DAY_US, MonthState
from proxy.features.payments.rules import OrderState
from proxy.storage.listed_tables import ListedTable
from proxy.storage.rows import LAST_MOMENT
from proxy.storage.store import Store
from proxy.storage.tables import Table
from proxy.storage.task_tables import TaskTable

NEVER = LAST_MOMENT
"""The `due` of a row that needs no more attempts. A wake makes it due again."""
_IS_OPEN = f"due < {NEVER}"


class OrderRecord(QueuedTask, frozen=True, kw_only=True):
    """An order, with the values that its offer had then. `amount` is in minor units, `credits` in
    micro-credits. See the migration for the columns."""

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
    cancelled: int | None = None

    def state_at(self, now: int) -> OrderState | Literal["expired"]:
        """Return its state for people. One that has expired may still become paid."""
        return "expired" if self.state == "open" and self.expires <= now else self.state


class PaymentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A payment as it was last booked. `credits` are those of its order, `credited` is the sum of its
    entries, which are numbered up to `booked`. `refund_check` is as in its migration."""

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
    refund_check: int | None = None


class EventRecord(QueuedTask, frozen=True, kw_only=True):
    """An object of a provider that webhooks named, `received` times. `id` is `PROVIDER:OBJECT`, and `account`
    is ""."""

    id: str
    account: str = ""
    received: int = 1
    created: int
    changed: int


class MonthRecord(QueuedTask, frozen=True, kw_only=True):
    """A month of a plan, as a task. See `proxy.features.payments.paid_months.Month`."""

    id: str
    account: str
    plan: str
    allowance: int | None
    ordered: int
    starts: int
    ends: int
    state: MonthState
    is_paid: int = 1
    replaced: int | None = None
    pool_balance: int | None = None
    carried: int = 0
    lost: int | None = None
    moved: int = 0
    mailed: int = 0


class MonthSpan(NamedTuple):
    """The moments between which a month runs."""

    starts: int
    ends: int


ORDERS = ListedTable("orders", OrderRecord)
ATTENTION_ORDERS = ListedTable("orders", OrderRecord, listed="attention <> ''")
OTHER_ORDERS = ListedTable("orders", OrderRecord, listed="attention = ''")
PAYMENTS = ListedTable("payments", PaymentRecord)
ORDER_TASKS = TaskTable("orders", OrderRecord, _IS_OPEN, place="provider", earliest="due")
# The first letter of an event's id tells its provider.
EVENT_TASKS = TaskTable("payment_events", EventRecord, _IS_OPEN, place="substr(id, 1, 1)", earliest="due")
MONTH_TASKS = TaskTable("paid_months", MonthRecord, _IS_OPEN, earliest="due")
# An operator's plan spends from the same pool, since the anchor stays. The midnight before names the pool.
_REPLACE_MONTHS = f"""
UPDATE paid_months SET state = 'replaced', replaced = CAST(:at AS BIGINT), due = CAST(:at AS BIGINT),
    pool_balance = CASE WHEN starts <= CAST(:at AS BIGINT) THEN coalesce((
        SELECT balances.amount FROM balances
        WHERE balances.account = paid_months.account AND pool = starts - starts % {DAY_US}
    ), 0) END
WHERE account = :account AND is_paid = 1 AND state IN ('ahead', 'running') AND ends > CAST(:at AS BIGINT)
"""
# A booking that has read the account before is refused.
_INSERT_CHANGE = """
INSERT INTO plan_changes (account, number, at)
SELECT id, (SELECT coalesce(max(number), 0) + 1 FROM plan_changes WHERE account = accounts.id), {at}
FROM accounts WHERE id = {account}
"""
TABLES = (
    Table(
        "orders",
        needs_plans=f"SELECT offer AS plan FROM orders WHERE kind = 'plan' AND state = 'open' AND {_IS_OPEN}",
    ),
    Table("payments", checks=checks.PAYMENT_CHECKS),
    Table("payment_events"),
    Table(
        "paid_months",
        needs_plans="SELECT plan FROM paid_months WHERE is_paid = 1 AND state IN ('ahead', 'running')",
        replanned_with=(_REPLACE_MONTHS,),
        checks=checks.MONTH_CHECKS,
    ),
    Table(
        "plan_changes",
        key=("account", "number"),
        closed_with=(_INSERT_CHANGE.format(account=":id", at="coalesce(closed, 0)"),),
        replanned_with=(_INSERT_CHANGE.format(account=":account", at="CAST(:at AS BIGINT)"),),
    ),
)
_SELECT_BY_ORDER = f"{PAYMENTS.select} order_id = :order ORDER BY id"


async def payment_by_id(store: Store, id_: str) -> list[PaymentRecord]:
    payment = await PAYMENTS.get(store, None, id_)
    return [] if payment is None else [payment]


async def payments_of(store: Store, order: str) -> list[PaymentRecord]:
    return [PAYMENTS.read(row) for row in await store.read(_SELECT_BY_ORDER, {"order": order})]
