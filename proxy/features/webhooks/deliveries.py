"""Deliveries as rows: an event for one webhook, sent until it arrives or has failed for good."""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import msgspec

from policies.tasks import SECOND_US, QueuedTask
from proxy.features.webhooks.records import Event, WebhookRecord
from proxy.storage import audit
from proxy.storage.audit import Act
from proxy.storage.listed_tables import ListedTable
from proxy.storage.rows import PagePlace, encode_json, in_list, insert, insert_sql
from proxy.storage.store import ALWAYS, Condition, Params, Statement, Store
from proxy.storage.tables import Table
from proxy.storage.task_tables import TaskTable

TABLE = Table("webhook_deliveries", closed_with=("DELETE FROM webhook_deliveries WHERE account = :id",))


class WebhookDelivery(QueuedTask, frozen=True, kw_only=True):
    """An event for one webhook. `event` is its id, the same in each try and each webhook. Tries began at
    `began`; 0 means a single try. `status` is that of the last answer, at `answered`."""

    id: str
    event: str
    account: str
    webhook: str
    host: str
    type: Event
    data: str
    created: int
    began: int
    state: Literal["waiting", "delivered", "failed"]
    status: int | None = None
    answered: int | None = None

    @property
    def body(self) -> bytes:
        """The sent bytes, the same in each try."""
        event = {
            "id": self.event,
            "object": "event",
            "type": self.type,
            "created_at": self.created // SECOND_US,
            "data": json.loads(self.data),
        }
        return msgspec.json.encode(event)


ROWS = ListedTable("webhook_deliveries", WebhookDelivery, listed="webhook = :webhook")
# A restart ends no delay: otherwise all waiting deliveries would be sent at once.
TASKS = TaskTable("webhook_deliveries", WebhookDelivery, "state = 'waiting'", earliest="due")
get, place_of = ROWS.get, ROWS.place_of
# The condition has parameters of its own, none of which begins with told_.
_ADD = """
INSERT INTO webhook_deliveries (id, event, account, webhook, host, type, data, created, began, state)
SELECT CAST(:told_id AS TEXT) || substr(id, 5), CAST(:told_event AS TEXT), account, id, host,
    CAST(:told_type AS TEXT), CAST(:told_data AS TEXT), CAST(:told_at AS BIGINT), CAST(:told_at AS BIGINT),
    'waiting'
FROM webhooks
WHERE account = :told_account AND off_reason = '' AND events LIKE :told_pattern AND {only_if}
ON CONFLICT DO NOTHING
"""
_INSERT = insert_sql("webhook_deliveries", WebhookDelivery)
_MAY_RESEND = "id = :subject AND state <> 'waiting' AND lease = 0"
_RESENT = f"EXISTS (SELECT 1 FROM webhook_deliveries WHERE {_MAY_RESEND})"
_RESEND = f"""
UPDATE webhook_deliveries SET state = 'waiting', began = :now, due = 0, tries = 0, error = '', status = NULL,
    answered = NULL
WHERE {_MAY_RESEND} RETURNING id
"""
_DELETE = """
DELETE FROM webhook_deliveries WHERE id IN (
    SELECT id FROM webhook_deliveries WHERE state <> 'waiting' AND answered < :before LIMIT :limit
) RETURNING id
"""
_NOT_FULL = "NOT (account IN ({0}) OR webhook IN ({0}) OR host IN ({0}))"


def add_statements(
    account: str, event: Event, data: Mapping[str, str], now: int, only_if: Condition = ALWAYS
) -> Sequence[Statement]:
    """Return the statements that add a delivery for each webhook of an account with this event."""
    bits = secrets.token_hex(12)
    params: Params = {
        "told_id": f"dlv_{bits}",
        "told_event": f"evt_{bits}",
        "told_account": account,
        "told_type": event,
        "told_data": encode_json(data),
        "told_at": now,
        "told_pattern": f'%"{event}"%',
    }
    return (*only_if.locks, Statement(_ADD.format(only_if=only_if.sql), {**only_if.params, **params}))


def new_sample(webhook: WebhookRecord, event: Event, now: int, lease_s: float) -> WebhookDelivery:
    """Return a delivery for one webhook that is tried once, under our lease."""
    bits = secrets.token_hex(12)
    # As in `_ADD`, the id ends with that of the webhook, without its `hook`.
    return WebhookDelivery(
        id=f"dlv_{bits}{webhook.id[4:]}",
        event=f"evt_{bits}",
        account=webhook.account,
        webhook=webhook.id,
        host=webhook.host,
        type=event,
        data=encode_json({"id": webhook.id}),
        created=now,
        began=0,
        state="waiting",
        lease=now + round(lease_s * SECOND_US),
        fence=1,
    )


async def add_delivery(store: Store, held: WebhookDelivery, act: Act | None = None) -> None:
    await store.write(insert(_INSERT, held), *audit.insert_statements(act))


async def page(store: Store, webhook: str, place: PagePlace, limit: int) -> list[WebhookDelivery]:
    return await ROWS.page(store, None, place, limit, {"webhook": webhook})


async def list_open(store: Store, now: int, limit: int, full: Collection[str]) -> list[WebhookDelivery]:
    """List due deliveries, without those of these full accounts, webhooks and hosts."""
    if not full:
        return await TASKS.list_open(store, now, limit)
    names, params = in_list(sorted(full))
    return await TASKS.list_open(store, now, limit, Condition(_NOT_FULL.format(names), params))


async def requeue(store: Store, id_: str, act: Act | None = None) -> bool:
    """Send an ended delivery again. False: it has not ended."""
    row: Params = {"subject": id_, "now": await store.now()}
    *_, rows = await store.write(
        *audit.insert_statements(act, _RESENT, {"subject": id_}), Statement(_RESEND, row)
    )
    return bool(rows)


async def delete_older(store: Store, before: int, limit: int) -> int:
    """Delete deliveries that ended before this moment, `limit` at most, and count them."""
    (rows,) = await store.write(Statement(_DELETE, {"before": before, "limit": limit}))
    return len(rows)
