"""Webhooks as rows. The URL, the name and the secrets are sealed. The host is not: operators may see it."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from proxy.file_store.vault import SealedRecord
from proxy.storage import audit
from proxy.storage.audit import Act
from proxy.storage.disk_names import account_name
from proxy.storage.listed_tables import ListedTable
from proxy.storage.rows import decode_json, encode_json
from proxy.storage.store import Params, Statement, Store
from proxy.storage.tables import PathColumn, Table
from proxy.storage.turns import MOST_ROWS, write_in_turn
from speech_engine.redacted import Redacted

TABLE = Table(
    "webhooks",
    sealed=True,
    personal=True,
    paths=(PathColumn("account", account_name),),
    closed_with=("DELETE FROM webhooks WHERE account = :id",),
)
TURNED_OFF_BY_OWNER = "It was turned off."
Event = Literal[
    "voice.clone.ready",
    "voice.clone.failed",
    "consent.heard",
    "job.done",
    "job.failed",
    "job.canceled",
    "job.waiting",
    "batch.completed",
    "batch.failed",
    "batch.expired",
    "batch.cancelled",
    "webhook.test",
]
"""All events that accounts can get."""
EVENTS: tuple[Event, ...] = get_args(Event)


class WebhookRecord(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """A webhook. It is on if there is no `off_reason`. `failing_since` is the first failure after the last
    success."""

    id: str
    account: str
    host: str
    events: tuple[Event, ...]
    created: int
    changed: int
    off_reason: str = ""
    failing_since: int | None = None
    wrapped: str
    sealed: str

    @property
    def seal(self) -> SealedRecord:
        return SealedRecord(self.wrapped, self.sealed)


class WebhookSeal(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """The sealed fields of a webhook. Until `older_until`, the `older` secret signs beside the newest one."""

    name: str
    url: str
    secret: str
    older: str = ""
    older_until: int = 0

    def secrets(self, now: int) -> tuple[str, ...]:
        """Return the secrets that sign now, the newest first."""
        return (self.secret, self.older) if self.older and now < self.older_until else (self.secret,)


ROWS = ListedTable(
    "webhooks",
    WebhookRecord,
    read=lambda row: msgspec.convert({**row, "events": decode_json(row["events"])}, WebhookRecord),
)
get, page, place_of = ROWS.get, ROWS.page, ROWS.place_of
_IS_THERE = "EXISTS (SELECT 1 FROM webhooks WHERE id = :subject)"
_AS_READ = "id = :id AND account = :account AND sealed = :was_sealed AND changed = :was_changed"
# The act of the audit has the id as :subject.
_WAS_READ = f"EXISTS (SELECT 1 FROM webhooks WHERE {_AS_READ})".replace(":id", ":subject")
_REPLACE = f"""
UPDATE webhooks SET host = :host, events = :events, changed = :changed, off_reason = :off_reason,
    failing_since = CAST(:failing_since AS BIGINT), wrapped = :wrapped, sealed = :sealed
WHERE {_AS_READ} RETURNING id
"""
_MOVE_DELIVERIES = """
UPDATE webhook_deliveries SET host = :host WHERE id IN (
    SELECT id FROM webhook_deliveries WHERE webhook = :id AND state = 'waiting' AND host <> :host
        AND EXISTS (SELECT 1 FROM webhooks WHERE id = :id AND host = :host)
    LIMIT :limit
) RETURNING id
"""
_DELETE_DELIVERIES = """
DELETE FROM webhook_deliveries WHERE id IN (
    SELECT id FROM webhook_deliveries WHERE webhook = :id LIMIT :limit
) RETURNING id
"""
_BATCH = MOST_ROWS - 10  # the commit of a batch has other rows, too
_DELETE = "DELETE FROM webhooks WHERE id = :id RETURNING id"
_SET_FAILING = "UPDATE webhooks SET failing_since = :now WHERE id = :id AND failing_since IS NULL"
_CLEAR_FAILING = "UPDATE webhooks SET failing_since = NULL WHERE id = :id AND failing_since IS NOT NULL"
_TURN_OFF = "UPDATE webhooks SET off_reason = :off_reason WHERE id = :id AND off_reason = '' AND {only_if}"


async def add_webhook(store: Store, record: WebhookRecord, most: int, act: Act | None = None) -> bool:
    """Add a webhook. False: the account has `most` already, or is closed."""
    adding = ROWS.add_statements(_row(record), most)
    answers = await store.write(*adding, *audit.insert_statements(act, _IS_THERE))
    return bool(answers[len(adding) - 1])  # the last of `adding` returns the row


async def replace_webhook(
    store: Store, old: WebhookRecord, new: WebhookRecord, act: Act | None = None
) -> bool:
    """Change a webhook. False: it has changed since it was read. Waiting deliveries go to its new host."""
    facts: Params = {"was_sealed": old.sealed, "was_changed": old.changed}
    acts = audit.insert_statements(act, _WAS_READ, facts)
    move = Statement(_MOVE_DELIVERIES, {"host": new.host, "id": old.id, "limit": _BATCH})
    *_, rows, moved = await store.write(*acts, Statement(_REPLACE, {**_row(new), **facts}), move)
    while len(moved) == _BATCH:
        (moved,) = await write_in_turn(store, _BATCH, move)
    return bool(rows)


async def delete_webhook(store: Store, id_: str, act: Act | None = None) -> bool:
    """Delete a webhook with its deliveries, and tell whether it was there."""
    batch = Statement(_DELETE_DELIVERIES, {"id": id_, "limit": _BATCH})
    while len((await write_in_turn(store, _BATCH, batch))[0]) == _BATCH:
        continue
    *_, rows = await store.write(
        *audit.insert_statements(act, _IS_THERE), batch, Statement(_DELETE, {"id": id_})
    )
    return bool(rows)


async def note_failure(store: Store, record: WebhookRecord, now: int) -> None:
    if record.failing_since is None:
        await store.write(Statement(_SET_FAILING, {"id": record.id, "now": now}))


def clear_failing_statement(id_: str) -> Statement:
    return Statement(_CLEAR_FAILING, {"id": id_})


def turn_off_statement(id_: str, reason: str, only_if: str) -> Statement:
    """Return the statement that turns a webhook off. `only_if` is SQL."""
    return Statement(_TURN_OFF.format(only_if=only_if), {"id": id_, "off_reason": reason})


def _row(record: WebhookRecord) -> Params:
    return {**msgspec.structs.asdict(record), "events": encode_json(record.events)}
