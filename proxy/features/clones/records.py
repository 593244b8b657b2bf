"""Rows of clones: a voice at a provider, which stores it under one of the engine's credentials.

A worker writes a row only under the fence of its lease: if the fence has changed, another worker has the row.
Each commit that adds or completes a clone checks that its voice was not erased.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import msgspec

from proxy.features.clones.rules import CloneFacts, State
from proxy.features.webhooks.delivery_tasks import DeliveryTasks
from proxy.features.webhooks.records import Event
from proxy.storage import audit, trained_models
from proxy.storage.audit import Act
from proxy.storage.rows import columns, new_id
from proxy.storage.store import ALWAYS, Condition, Params, Statement, Store
from proxy.storage.tables import Remains, Table
from proxy.storage.task_tables import TaskTable
from proxy.storage.tombstones import NOT_ERASED


class CloneRecord(CloneFacts, frozen=True, kw_only=True):
    """A clone of a voice on one engine. `revision` is that of the voice when the clone was ordered. `error`
    is a message for the voice's owner.

    `payer` is the id of the API key that ordered it. Without it, the operator pays. `tag` marks the usage.
    """

    id: str
    voice: str
    account: str
    revision: int
    engine: str
    credential: str
    payer: str = ""
    tag: str = ""


class CloneTask(msgspec.Struct, frozen=True, kw_only=True):
    """An order to clone a voice on one engine. See `CloneRecord`."""

    voice: str
    account: str
    revision: int
    engine: str
    credential: str
    payer: str = ""
    tag: str = ""


COLUMNS = columns(CloneRecord)
_DELETING = "SELECT 1 AS is_there FROM bindings WHERE state = 'doomed' AND"
# An erasure leaves the lease: the worker that is making the clone sees the new state at the end, and deletes
# it.
TABLE = Table(
    "bindings",
    personal=True,
    erased_with=(
        "UPDATE bindings SET state = 'doomed', due = 0, tries = 0, error = '' "
        "WHERE voice = :subject AND state <> 'doomed'",
    ),
    remains=Remains("providers", f"{_DELETING} voice = :subject LIMIT 1"),
)
TASKS = TaskTable(
    "bindings",
    CloneRecord,
    "state IN ('wanted', 'making', 'doomed', 'stranded', 'ready')",
    place="engine, credential, CASE WHEN state IN ('wanted', 'making') THEN 'make' "
    "WHEN state = 'doomed' THEN 'delete' ELSE 'note' END",
)
get, take = TASKS.get, TASKS.take
_PLACE = "voice = :voice AND engine = :engine AND credential = :credential AND state <> 'doomed'"
_DOOM = "UPDATE bindings SET state = 'doomed', due = 0, tries = 0, error = '' WHERE"
# An expired clone that is made anew gets a new row with another name. All voices of the old name are deleted.
_DOOM_EXPIRED = f"{_DOOM} {_PLACE} AND state = 'expired'"
_TRY_AGAIN = f"""
UPDATE bindings SET state = CASE WHEN name = '' THEN 'wanted' ELSE 'making' END,
    due = 0, tries = 0, error = '', payer = :payer, tag = :tag
WHERE {_PLACE} AND state = 'failed'
"""
_WANT = f"""
INSERT INTO bindings (id, voice, account, revision, engine, credential, payer, tag, state)
SELECT CAST(:id AS TEXT), CAST(:voice AS TEXT), CAST(:account AS TEXT), CAST(:revision AS BIGINT),
    CAST(:engine AS TEXT), CAST(:credential AS TEXT), CAST(:payer AS TEXT),
    CAST(:tag AS TEXT), 'wanted'
WHERE {NOT_ERASED} AND {trained_models.VOICE_EXISTS}
ON CONFLICT DO NOTHING
"""
_IS_WANTED = "EXISTS (SELECT 1 FROM bindings WHERE voice = :subject AND state <> 'doomed')"
_GET_PLACE = f"SELECT {COLUMNS} FROM bindings WHERE {_PLACE}"
_NOT_DELETING = Condition("state <> 'doomed'", {})
_REMOVE = "DELETE FROM bindings WHERE id = :id AND fence = :fence AND state = 'doomed'"
_GIVE_WAY = f"{_DOOM} id = :id AND state = 'ready' AND lease <= :now RETURNING id"
_EXPIRED_TWIN = """
INSERT INTO bindings (id, voice, account, revision, engine, credential, state, error)
SELECT CAST(:twin AS TEXT), voice, account, revision, engine, credential, 'expired', CAST(:error AS TEXT)
FROM bindings WHERE id = :id AND state = 'doomed'
ON CONFLICT DO NOTHING
"""
_ANY_COPY = f"{_DELETING} voice = :voice LIMIT 1"


def insert_task_statement(task: CloneTask) -> Statement:
    """Return the statement that adds a clone's row, for the commit of its voice. It does nothing if the voice
    is not there."""
    return Statement(_WANT, {**msgspec.structs.asdict(task), "id": new_id("bind")})


async def add_task(
    store: Store, task: CloneTask, act: Act | None = None, *, replaces_expired: bool = False
) -> CloneRecord | None:
    """Add the row of a clone if there is none, and return it: a voice has one for each engine and credential.

    A failed clone is tried again. An expired one is made anew if `replaces_expired`: the provider may charge
    its fee again. None: the voice is gone.
    """
    place: Params = msgspec.structs.asdict(task)
    expired = [Statement(_DOOM_EXPIRED, place)] if replaces_expired else []
    await store.write(
        *expired,
        Statement(_TRY_AGAIN, place),
        insert_task_statement(task),
        *audit.insert_statements(act, _IS_WANTED),
    )
    rows = await store.read(_GET_PLACE, place)
    return TASKS.read(rows[0]) if rows else None


async def write_request_name(store: Store, record: CloneRecord, name: str) -> CloneRecord | None:
    """Write the name of the next request to the provider. Return the changed row. None: the voice is erased,
    or the lease lost."""
    only_if = Condition(f"state IN ('wanted', 'making') AND {NOT_ERASED}", {"voice": record.voice})
    values: Params = {"state": "making", "name": name}
    is_begun = await TASKS.write_held(store, record, values, only_if=only_if)
    return msgspec.structs.replace(record, **values) if is_begun else None


async def store_clone(
    store: Store,
    record: CloneRecord,
    engine_voice: str,
    expires: int | None,
    notices: DeliveryTasks | None = None,
) -> Literal["kept", "doomed", "lost"]:
    """Store a clone that was made and charged, and notify its account.

    kept: it is ready. doomed: its voice was erased meanwhile, so the clone must be deleted. lost: another
    worker has the lease.
    """
    now = await store.now()
    times: Params = {"made": now, "used": now, "expires": expires, "lease": 0}
    only_if = Condition(f"state = 'making' AND {NOT_ERASED}", {"voice": record.voice})
    values: Params = {"engine_voice": engine_voice, "due": 0, "tries": 0, "error": ""}
    ready: Params = {**values, **times, "state": "ready"}
    notice_rows = () if notices is None else notice_statements(notices, record, "voice.clone.ready", now)
    if await TASKS.write_held(store, record, ready, only_if=only_if, also=notice_rows):
        return "kept"
    # The voice was erased while its clone was made: now its id is known, so it can be deleted.
    return "doomed" if await TASKS.write_held(store, record, {**values, "state": "doomed"}) else "lost"


def notice_statements(
    notices: DeliveryTasks, record: CloneRecord, event: Event, now: int
) -> Sequence[Statement]:
    """Return the statements that notify an account of a clone's end, for the commit of that end."""
    data = {"id": record.id, "voice": record.voice, "engine": record.engine}
    return notices.statements(record.account, event, data, now, Condition(TASKS.finished, {}))


async def change_state(
    store: Store, record: CloneRecord, state: State, *, due: int = 0, tries: int = 0, error: str = ""
) -> None:
    """Change a row's state, or delay it until it is due, and release its lease."""
    values: Params = {"state": state, "due": due, "tries": tries, "error": error}
    await TASKS.write_held(store, record, values, only_if=state_condition(record), gives_back=True)


def state_condition(record: CloneRecord) -> Condition:
    """Return the condition of a change of state: a row that was marked for deletion meanwhile keeps its
    state."""
    return ALWAYS if record.state == "doomed" else _NOT_DELETING


async def mark_for_deletion(store: Store, record: CloneRecord) -> None:
    """Mark a leased row for deletion, and release its lease."""
    values: Params = {"state": "doomed", "due": 0, "tries": 0, "error": ""}
    await TASKS.write_held(store, record, values, gives_back=True)


async def delete_row(store: Store, record: CloneRecord) -> None:
    await store.write(Statement(_REMOVE, {"id": record.id, "fence": record.fence}))


async def give_up_slot(store: Store, id_: str, error: str) -> bool:
    """Mark a ready clone for deletion, so that another one gets its slot. Its voice gets an expired row with
    the error.

    False: it is not ready any more.
    """
    now = await store.now()
    rows, _ = await store.write(
        Statement(_GIVE_WAY, {"id": id_, "now": now}),
        Statement(_EXPIRED_TWIN, {"id": id_, "twin": new_id("bind"), "error": error}),
    )
    return bool(rows)


async def has_no_copies(store: Store, voice: str) -> bool:
    """Tell whether no provider has a copy of an erased voice any more."""
    return not await store.read(_ANY_COPY, {"voice": voice})


CloneId = tuple[str, str, str]
"""The engine, the credential, and the voice's id at the engine."""

_CLONE = "engine = :engine AND credential = :credential AND engine_voice = :engine_voice AND state = 'ready'"
# A provider that deletes unused clones counts from their last use.
_USED = f"UPDATE bindings SET used = :now, expires = expires + (:now - used) WHERE {_CLONE} AND used < :now"
_LOST = f"UPDATE bindings SET state = 'expired', error = :error WHERE {_CLONE} RETURNING account"


async def note_uses(store: Store, uses: Mapping[CloneId, int]) -> None:
    statements = [Statement(_USED, {**_place(clone), "now": used}) for clone, used in uses.items()]
    if statements:
        await store.write(*statements)


async def note_losses(store: Store, lost: Collection[CloneId], error: str) -> set[str]:
    """Mark clones that providers do not have any more as expired. Return their accounts. `error` is a message
    for the owners."""
    statements = [Statement(_LOST, {**_place(clone), "error": error}) for clone in lost]
    if not statements:
        return set()
    found = await store.write(*statements)
    return {row["account"] for rows in found for row in rows}


def _place(clone: CloneId) -> Params:
    engine, credential, engine_voice = clone
    return {"engine": engine, "credential": credential, "engine_voice": engine_voice}


_ALL = f"SELECT {COLUMNS} FROM bindings ORDER BY engine, credential, id"
_OF_PLACE = f"SELECT {COLUMNS} FROM bindings WHERE engine = :engine AND credential = :credential"
_OF_VOICES = f"SELECT {COLUMNS} FROM bindings WHERE state <> 'doomed' AND voice IN ({{names}}) ORDER BY id"
_IS_CLONE = """
SELECT 1 AS is_there FROM bindings WHERE engine = :engine AND (engine_voice = :id OR name = :id) LIMIT 1
"""
_MAY_HAVE_A_STEP = """
(state <> 'ready' OR expires <= :now OR NOT (engine || '/' || credential IN ({configured})))
    AND (state NOT IN ('stranded', 'doomed') OR engine || '/' || credential IN ({configured})
        OR (state = 'doomed' AND name = '' AND engine_voice = ''))
"""
_WAITING = """
SELECT count(*) AS clones FROM bindings
WHERE account = :account AND payer <> '' AND state IN ('wanted', 'making')
    AND NOT EXISTS (SELECT 1 FROM holds WHERE request = bindings.id)
"""


async def count_waiting(store: Store, account: str) -> int:
    """Count the ordered clones of an account that have no hold yet."""
    (row,) = await store.read(_WAITING, {"account": account})
    return int(row["clones"])


async def list_all(store: Store) -> list[CloneRecord]:
    return [TASKS.read(row) for row in await store.read_long(_ALL)]


async def list_of_place(store: Store, engine: str, credential: str) -> list[CloneRecord]:
    rows = await store.read_long(_OF_PLACE, {"engine": engine, "credential": credential})
    return [TASKS.read(row) for row in rows]


async def list_of_voices(store: Store, voices: Collection[str]) -> dict[str, list[CloneRecord]]:
    found: defaultdict[str, list[CloneRecord]] = defaultdict(list)
    if voices:
        names = {f"voice{number}": voice for number, voice in enumerate(sorted(set(voices)))}
        sql = _OF_VOICES.format(names=", ".join(f":{name}" for name in names))
        for row in await store.read(sql, names):
            found[row["voice"]].append(TASKS.read(row))
    return dict(found)


async def is_clone(store: Store, engine: str, id_: str) -> bool:
    """Tell whether an engine's voice, by its id or name, is a clone of an account's voice or is to be one."""
    return bool(await store.read(_IS_CLONE, {"engine": engine, "id": id_}))


async def list_open(
    store: Store, configured: Collection[tuple[str, str]], now: int, limit: int
) -> list[CloneRecord]:
    """List the rows without a lease that may be due.

    `configured` are the known engines and credentials. For each, the list has up to `limit` clones to make
    and as many to delete, of all accounts in turn.
    """
    places = {f"place{number}": "/".join(place) for number, place in enumerate(sorted(configured))}
    names = ", ".join(f":{name}" for name in places) or "''"
    only_if = Condition(_MAY_HAVE_A_STEP.format(configured=names), places)
    return await TASKS.list_open(store, now, limit, only_if)
