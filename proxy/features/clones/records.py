"""Clones at providers as rows: a voice on an engine that keeps it itself, under one of its credentials.

Who works on a row has its lease, and writes only under the fence that the lease gave: after that, another
holder has taken the row over. Each write that keeps a clone asks for the voice's tombstone in its own commit.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import msgspec

from proxy.catalogue.notices import NO_NOTICES, Event, Notices
from proxy.features.clones.rules import CloneFacts, State
from proxy.storage import audit, trained_models
from proxy.storage.audit import Act
from proxy.storage.rows import columns, new_id
from proxy.storage.store import ALWAYS, Condition, Params, Statement, Store
from proxy.storage.tables import Remains, Table
from proxy.storage.tombstones import NOT_ERASED
from proxy.storage.wish_tables import WishTable


class CloneRecord(CloneFacts, frozen=True, kw_only=True):
    """A voice on one engine. `revision` is the voice's at the wish. `error` is for its owner to read.

    `payer` is the key of the account that ordered it. Without one, the operator pays.
    """

    id: str
    voice: str
    account: str
    revision: int
    engine: str
    credential: str
    payer: str = ""


class CloneWish(msgspec.Struct, frozen=True, kw_only=True):
    """A wish for a clone of a voice, for one place. It has the `payer` of the clone."""

    voice: str
    account: str
    revision: int
    engine: str
    credential: str
    payer: str = ""


COLUMNS = columns(CloneRecord)
_DOOMED = "SELECT 1 AS is_there FROM bindings WHERE state = 'doomed' AND"
# A lease stays: who makes a clone just now learns of it at the end, and deletes what was made.
TABLE = Table(
    "bindings",
    personal=True,
    erased_with=(
        "UPDATE bindings SET state = 'doomed', due = 0, tries = 0, error = '' "
        "WHERE voice = :subject AND state <> 'doomed'",
    ),
    remains=Remains("providers", f"{_DOOMED} voice = :subject LIMIT 1"),
)
WISHES = WishTable(
    "bindings",
    CloneRecord,
    "state IN ('wanted', 'making', 'doomed', 'stranded', 'ready')",
    place="engine, credential, CASE WHEN state IN ('wanted', 'making') THEN 'make' "
    "WHEN state = 'doomed' THEN 'delete' ELSE 'note' END",
)
get, take = WISHES.get, WISHES.take
_PLACE = "voice = :voice AND engine = :engine AND credential = :credential AND state <> 'doomed'"
_DOOM = "UPDATE bindings SET state = 'doomed', due = 0, tries = 0, error = '' WHERE"
# What the provider had once gets another name, and what it has of the old one is deleted.
_DOOM_EXPIRED = f"{_DOOM} {_PLACE} AND state = 'expired'"
_TRY_AGAIN = f"""
UPDATE bindings SET state = CASE WHEN name = '' THEN 'wanted' ELSE 'making' END,
    due = 0, tries = 0, error = '', payer = :payer
WHERE {_PLACE} AND state = 'failed'
"""
_WANT = f"""
INSERT INTO bindings (id, voice, account, revision, engine, credential, payer, state)
SELECT CAST(:id AS TEXT), CAST(:voice AS TEXT), CAST(:account AS TEXT), CAST(:revision AS BIGINT),
    CAST(:engine AS TEXT), CAST(:credential AS TEXT), CAST(:payer AS TEXT), 'wanted'
WHERE {NOT_ERASED} AND {trained_models.IS_THERE}
ON CONFLICT DO NOTHING
"""
_IS_WANTED = "EXISTS (SELECT 1 FROM bindings WHERE voice = :subject AND state <> 'doomed')"
_GET_PLACE = f"SELECT {COLUMNS} FROM bindings WHERE {_PLACE}"
_NOT_DOOMED = Condition("state <> 'doomed'", {})
_REMOVE = "DELETE FROM bindings WHERE id = :id AND fence = :fence AND state = 'doomed'"
_GIVE_WAY = f"{_DOOM} id = :id AND state = 'ready' AND lease <= :now RETURNING id"
_EXPIRED_TWIN = """
INSERT INTO bindings (id, voice, account, revision, engine, credential, state, error)
SELECT CAST(:twin AS TEXT), voice, account, revision, engine, credential, 'expired', CAST(:error AS TEXT)
FROM bindings WHERE id = :id AND state = 'doomed'
ON CONFLICT DO NOTHING
"""
_GONE = f"{_DOOMED} voice = :voice LIMIT 1"


def want_statement(wish: CloneWish) -> Statement:
    """Return what adds the row of a clone, for the commit of its voice. It does nothing without the voice."""
    return Statement(_WANT, {**msgspec.structs.asdict(wish), "id": new_id("bind")})


async def want(
    store: Store, wish: CloneWish, act: Act | None = None, *, replaces_expired: bool = False
) -> CloneRecord | None:
    """Note the wish for a clone, and return its row: there is one for each place.

    One that failed is tried again. One that the provider has no more is made anew if `replaces_expired`:
    the provider may take its fee again. None: the voice is gone.
    """
    place: Params = msgspec.structs.asdict(wish)
    expired = [Statement(_DOOM_EXPIRED, place)] if replaces_expired else []
    await store.write(
        *expired,
        Statement(_TRY_AGAIN, place),
        want_statement(wish),
        *audit.insert_statements(act, _IS_WANTED),
    )
    rows = await store.read(_GET_PLACE, place)
    return WISHES.read(rows[0]) if rows else None


async def begin(store: Store, record: CloneRecord, name: str) -> CloneRecord | None:
    """Write the name that the provider gets next. None: the voice is erased, or the lease lost."""
    only_if = Condition(f"state IN ('wanted', 'making') AND {NOT_ERASED}", {"voice": record.voice})
    values: Params = {"state": "making", "name": name}
    is_begun = await WISHES.write(store, record, values, only_if=only_if)
    return msgspec.structs.replace(record, **values) if is_begun else None


async def keep(
    store: Store,
    record: CloneRecord,
    engine_voice: str,
    expires: int | None,
    notices: Notices = NO_NOTICES,
) -> Literal["kept", "doomed", "lost"]:
    """Keep a clone that was made, and paid, and tell its account.

    doomed: its voice was erased meanwhile, and the clone has to go. lost: another worker has the lease now.
    """
    now = await store.now()
    times: Params = {"made": now, "used": now, "expires": expires, "lease": 0}
    only_if = Condition(f"state = 'making' AND {NOT_ERASED}", {"voice": record.voice})
    values: Params = {"engine_voice": engine_voice, "due": 0, "tries": 0, "error": ""}
    ready: Params = {**values, **times, "state": "ready"}
    told = notice(notices, record, "voice.clone.ready", now)
    if await WISHES.write(store, record, ready, only_if=only_if, also=told):
        return "kept"
    # The voice was erased while its clone was made: now it is known what there is to delete.
    return "doomed" if await WISHES.write(store, record, {**values, "state": "doomed"}) else "lost"


def notice(notices: Notices, record: CloneRecord, event: Event, now: int) -> Sequence[Statement]:
    """Return what tells an account how its clone ended, for the commit of that end."""
    data = {"id": record.id, "voice": record.voice, "engine": record.engine}
    return notices.statements(record.account, event, data, now, Condition(WISHES.finished, {}))


async def move(
    store: Store, record: CloneRecord, state: State, *, due: int = 0, tries: int = 0, error: str = ""
) -> None:
    """Put a row into another state, or off until it is due, and give its lease back."""
    values: Params = {"state": state, "due": due, "tries": tries, "error": error}
    await WISHES.write(store, record, values, only_if=may_move(record), gives_back=True)


def may_move(record: CloneRecord) -> Condition:
    """A row that was doomed in the meantime stays doomed."""
    return ALWAYS if record.state == "doomed" else _NOT_DOOMED


async def doom(store: Store, record: CloneRecord) -> None:
    """Doom a row of ours. Its lease stays."""
    await WISHES.write(store, record, {"state": "doomed", "due": 0, "tries": 0, "error": ""})


async def remove(store: Store, record: CloneRecord) -> None:
    """Delete the row of a clone that the provider does not have any more."""
    await store.write(Statement(_REMOVE, {"id": record.id, "fence": record.fence}))


async def give_way(store: Store, id_: str, error: str) -> bool:
    """Doom a clone that gives its slot to another one. Its voice keeps a row that says so.

    False: it is not ready any more.
    """
    now = await store.now()
    rows, _ = await store.write(
        Statement(_GIVE_WAY, {"id": id_, "now": now}),
        Statement(_EXPIRED_TWIN, {"id": id_, "twin": new_id("bind"), "error": error}),
    )
    return bool(rows)


async def is_gone(store: Store, voice: str) -> bool:
    """Tell whether no provider has a copy of an erased voice any more."""
    return not await store.read(_GONE, {"voice": voice})


CloneId = tuple[str, str, str]
"""The engine, the credential, and the engine's id."""

_CLONE = "engine = :engine AND credential = :credential AND engine_voice = :engine_voice AND state = 'ready'"
# A provider that deletes what does not speak counts from the last time.
_USED = f"UPDATE bindings SET used = :now, expires = expires + (:now - used) WHERE {_CLONE} AND used < :now"
_LOST = f"UPDATE bindings SET state = 'expired', error = :error WHERE {_CLONE} RETURNING account"


async def note_uses(store: Store, uses: Mapping[CloneId, int]) -> None:
    """Note when clones last spoke."""
    statements = [Statement(_USED, {**_place(clone), "now": used}) for clone, used in uses.items()]
    if statements:
        await store.write(*statements)


async def note_losses(store: Store, lost: Collection[CloneId], error: str) -> set[str]:
    """Note that providers do not have these clones. Return the accounts whose clones they were.

    `error` is for their owners to read.
    """
    statements = [Statement(_LOST, {**_place(clone), "error": error}) for clone in lost]
    if not statements:
        return set()
    found = await store.write(*statements)
    return {row["account"] for rows in found for row in rows}


def _place(clone: CloneId) -> Params:
    engine, credential, engine_voice = clone
    return {"engine": engine, "credential": credential, "engine_voice": engine_voice}
