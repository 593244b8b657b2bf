"""The index of the audio cache: the account, voices and lexicons of each stored file.

The files hold the sound. The rows decide which files a purge deletes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from policies.text_tags import MOST_NAMES
from proxy.storage.disk_names import DiskName, safe_names
from proxy.storage.store import Params, Statement, Store
from proxy.storage.tables import PathColumn, Remains, Table
from proxy.storage.tombstones import is_erased_sql
from proxy.storage.turns import MOST_ROWS, write_in_turn

_INSERT = """
INSERT INTO clips (recording, voice, account, has_lexicon, folder, began)
VALUES (:recording, :voice, :account, :has_lexicon, :folder, :began)
"""
# Speech by an erased voice is never stored, even if its recording began before the erasure.
_IS_ERASED = f"""
EXISTS (SELECT 1 FROM clips AS spoken WHERE spoken.recording = :recording AND {is_erased_sql("spoken.voice")})
"""
_FORGET_IF_ERASED = f"DELETE FROM clips WHERE recording = :recording AND {_IS_ERASED}"
_NAME = f"""
UPDATE clips SET name = :name WHERE recording = :recording AND NOT {_IS_ERASED} RETURNING recording
"""
_IS_THERE = f"""
SELECT 1 AS is_there FROM clips WHERE recording = :recording AND NOT {_IS_ERASED} LIMIT 1
"""
_FORGET = "DELETE FROM clips WHERE recording = :recording"
# All rows of a recording go with one of them.
_PURGE_VOICE = """
DELETE FROM clips WHERE recording IN (
    SELECT recording FROM clips
    WHERE voice = :voice AND (CAST(:account AS TEXT) IS NULL OR account = :account) LIMIT :limit
) RETURNING name
"""
_PURGE_OWN = """
DELETE FROM clips WHERE recording IN (
    SELECT recording FROM clips WHERE account = :account AND has_lexicon >= :has_lexicon LIMIT :limit
) RETURNING name
"""
_LIST_FOLDER = """
SELECT recording, name, min(began) AS began FROM clips WHERE folder = :folder GROUP BY recording, name
"""

_BATCH = 256
_RECORDINGS = MOST_ROWS // MOST_NAMES
"""The most recordings in one commit of a purge. Each has a row for each voice of its cast."""

TABLE = Table(
    "clips",
    key=("recording",),
    personal=True,
    paths=(PathColumn("name", unless=""),),
    remains=Remains("files", "SELECT 1 AS is_there FROM clips WHERE voice = :subject LIMIT 1"),
)


class ClipOwner(NamedTuple):
    """The account, the voices and the lexicon of a clip. If one of them goes, the clip is purged."""

    account: str
    voices: frozenset[str]
    has_lexicon: bool


class IndexedClip(msgspec.Struct, frozen=True):
    """A recording's rows in the index. Its name is empty while it is under way. It `began` at this time of
    the store, in microseconds."""

    recording: str
    name: str
    began: int


async def add(store: Store, recording: str, owner: ClipOwner, folder: str) -> None:
    """Add a recording when it begins. A purge from then on is seen by `give_name` and `is_there`."""
    row: Params = {
        "recording": recording,
        "account": owner.account,
        "has_lexicon": int(owner.has_lexicon),
        "folder": folder,
        "began": await store.now(),
    }
    inserts = (Statement(_INSERT, {**row, "voice": voice}) for voice in sorted(owner.voices))
    await store.write(*inserts, Statement(_FORGET_IF_ERASED, {"recording": recording}))


async def give_name(store: Store, recording: str, name: str) -> bool:
    """Set the file name of a recording. Return False if it was purged, or one of its voices erased."""
    (rows,) = await store.write(Statement(_NAME, {"recording": recording, "name": name}))
    return bool(rows)


async def is_there(store: Store, recording: str) -> bool:
    """Return False if the recording was purged, or one of its voices erased."""
    return bool(await store.read(_IS_THERE, {"recording": recording}))


async def forget(store: Store, recordings: Iterable[str]) -> None:
    statements = [Statement(_FORGET, {"recording": recording}) for recording in recordings]
    for first in range(0, len(statements), _BATCH):
        await store.write(*statements[first : first + _BATCH])


async def purge_voice(store: Store, account: str | None, voice: str) -> set[DiskName]:
    """Delete the clips by this voice, of the account or of all accounts. Return the names of the files."""
    return await _purge(store, _PURGE_VOICE, {"account": account, "voice": voice})


async def purge_lexicons(store: Store, account: str) -> set[DiskName]:
    return await _purge(store, _PURGE_OWN, {"account": account, "has_lexicon": 1})


async def purge_account(store: Store, account: str) -> set[DiskName]:
    return await _purge(store, _PURGE_OWN, {"account": account, "has_lexicon": 0})


async def list_folder(store: Store, folder: str) -> list[IndexedClip]:
    rows = await store.read_long(_LIST_FOLDER, {"folder": folder})
    return [msgspec.convert(row, IndexedClip) for row in rows]


async def _purge(store: Store, sql: str, params: Params) -> set[DiskName]:
    part, names = Statement(sql, {**params, "limit": _RECORDINGS}), set[str]()
    while True:
        (rows,) = await write_in_turn(store, MOST_ROWS, part)
        names |= {row["name"] for row in rows}
        if len(rows) < _RECORDINGS:
            return {*safe_names(names - {""})}
