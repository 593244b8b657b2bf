"""Lists of clones: all of them, those of a place, those of voices, and those with something to do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from proxy.features.clones.records import COLUMNS, WISHES, CloneRecord
from proxy.storage.store import Condition, Store

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
    """Count the clones that an account has ordered, and for which nothing is held back yet."""
    (row,) = await store.read(_WAITING, {"account": account})
    return int(row["clones"])


async def list_all(store: Store) -> list[CloneRecord]:
    """List all clones, those that have to go too."""
    return [WISHES.read(row) for row in await store.read_long(_ALL)]


async def list_of_place(store: Store, engine: str, credential: str) -> list[CloneRecord]:
    """List the clones of one account at a provider, those that have to go too."""
    rows = await store.read_long(_OF_PLACE, {"engine": engine, "credential": credential})
    return [WISHES.read(row) for row in rows]


async def list_of_voices(store: Store, voices: Collection[str]) -> dict[str, list[CloneRecord]]:
    """List the clones of voices, by voice."""
    found: defaultdict[str, list[CloneRecord]] = defaultdict(list)
    if voices:
        names = {f"voice{number}": voice for number, voice in enumerate(sorted(set(voices)))}
        sql = _OF_VOICES.format(names=", ".join(f":{name}" for name in names))
        for row in await store.read(sql, names):
            found[row["voice"]].append(WISHES.read(row))
    return dict(found)


async def is_clone(store: Store, engine: str, id_: str) -> bool:
    """Tell whether an engine's voice is a clone of ours, or is to be one."""
    return bool(await store.read(_IS_CLONE, {"engine": engine, "id": id_}))


async def list_open(
    store: Store, configured: Collection[tuple[str, str]], now: int, limit: int
) -> list[CloneRecord]:
    """List the rows without a lease, and with which there may be something to do.

    `configured` are the engines and credentials that there are. Each has `limit` clones to make and as many
    to delete, of all accounts in turn.
    """
    places = {f"place{number}": "/".join(place) for number, place in enumerate(sorted(configured))}
    names = ", ".join(f":{name}" for name in places) or "''"
    only_if = Condition(_MAY_HAVE_A_STEP.format(configured=names), places)
    return await WISHES.list_open(store, now, limit, only_if)
