"""The rows of recordings of voices, for the features that read them."""

from __future__ import annotations

import msgspec

from proxy.storage.rows import columns
from proxy.storage.sample_record import TRAINING, SampleRecord
from proxy.storage.store import Row, Store

_COLUMNS = columns(SampleRecord)
_OF_ACCOUNT = f"""
SELECT {_COLUMNS} FROM samples WHERE account = :account AND tag <> '{TRAINING}' ORDER BY voice, number
"""
_OF_VOICE = f"SELECT {_COLUMNS} FROM samples WHERE voice = :voice ORDER BY number"
_CLIP = f"SELECT {_COLUMNS} FROM samples WHERE account = :account AND id = :id AND id <> ''"
_QUALITY = "SELECT quality FROM samples WHERE account = :account AND digest = :digest LIMIT 1"


async def list_of_account(store: Store, account: str) -> dict[str, list[SampleRecord]]:
    """List the samples that an account's voices speak with, by voice."""
    found: dict[str, list[SampleRecord]] = {}
    for row in await store.read(_OF_ACCOUNT, {"account": account}):
        found.setdefault(row["voice"], []).append(_record(row))
    return found


async def list_of_voice(store: Store, voice: str) -> list[SampleRecord]:
    return [_record(row) for row in await store.read(_OF_VOICE, {"voice": voice})]


async def list_original(store: Store, voice: str) -> list[SampleRecord]:
    """List the recordings that a voice was created with, which have no id. They are stored as long as the
    voice, so data that another machine derived from them may be, too."""
    return [each for each in await list_of_voice(store, voice) if not each.id]


async def find_clip(store: Store, account: str, id_: str) -> SampleRecord | None:
    """Return a clip of one of the account's voices."""
    rows = await store.read(_CLIP, {"account": account, "id": id_})
    return _record(rows[0]) if rows else None


async def find_quality(store: Store, account: str, digest: str) -> str | None:
    """Return the measurements of a recording of the account, or None if no voice of it has the recording."""
    rows = await store.read(_QUALITY, {"account": account, "digest": digest})
    return rows[0]["quality"] if rows else None


def _record(row: Row) -> SampleRecord:
    return msgspec.convert(row, SampleRecord)
