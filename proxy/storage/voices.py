"""Saved voices as rows: of an account, or of the operator for all accounts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from proxy.storage import audit
from proxy.storage.audit import Act
from proxy.storage.rows import Place, decode_json, encode_json, new_id
from proxy.storage.store import Params, Row, Statement, Store

Kind = Literal["sample", "mix", "cast", "catalogue"]

_COLUMNS = "id, account, name, kind, revision, created, members, tags, description"
_ORDER = "ORDER BY created DESC, id DESC"
_BEFORE = f"(created < :at OR (created = :at AND id < :id)) {_ORDER} LIMIT :limit"
_PAGE = f"SELECT {_COLUMNS} FROM voices WHERE {_BEFORE}"
_PAGE_OF_ACCOUNT = f"SELECT {_COLUMNS} FROM voices WHERE account = :account AND {_BEFORE}"
_PLACE = "SELECT created FROM voices WHERE id = :id"
_FOR_ACCOUNT = f"SELECT {_COLUMNS} FROM voices WHERE account = :account OR account IS NULL {_ORDER}"
_GET = f"SELECT {_COLUMNS} FROM voices WHERE id = :id"
_NAMED = f"SELECT {_COLUMNS} FROM voices WHERE coalesce(account, '') = :account AND name = :name"
# As with lexicons: two voices of an account cannot both take the last free place.
_HOLD = "UPDATE accounts SET id = id WHERE id = :account"
_INSERT = f"""
INSERT INTO voices ({_COLUMNS})
SELECT :id, CAST(:account AS TEXT), :name, :kind, 1, :created, :members, :tags, :description
WHERE CAST(:most AS BIGINT) IS NULL
    OR (SELECT count(*) FROM voices WHERE account = :account) < CAST(:most AS BIGINT)
RETURNING {_COLUMNS}
"""
_WAS_MADE = "EXISTS (SELECT 1 FROM voices WHERE id = :subject)"
_DELETE = "DELETE FROM voices WHERE id = :id RETURNING id"


class NewCast(msgspec.Struct, frozen=True, kw_only=True):
    """A cast to be saved. `members` give each name its voice, in order. The rest is for searching."""

    name: str
    members: Mapping[str, str]
    tags: tuple[str, ...] = ()
    description: str = ""


class VoiceRecord(NewCast, frozen=True, kw_only=True):
    """A saved voice. It is the operator's when `account` is None."""

    id: str
    account: str | None
    kind: Kind
    revision: int
    created: int


async def page(store: Store, account: str | None, place: Place, limit: int) -> list[VoiceRecord]:
    """List the voices of one account or of all, the newest first, from the place on."""
    parameters: Params = {"account": account, "at": place.at, "id": place.id, "limit": limit}
    return [
        _record(row) for row in await store.read(_PAGE if account is None else _PAGE_OF_ACCOUNT, parameters)
    ]


async def place_of(store: Store, id_: str) -> Place | None:
    rows = await store.read(_PLACE, {"id": id_})
    return Place(rows[0]["created"], id_) if rows else None


async def for_account(store: Store, account: str) -> list[VoiceRecord]:
    """List the voices that an account may use: its own and the operator's, the newest first."""
    return [_record(row) for row in await store.read(_FOR_ACCOUNT, {"account": account})]


async def get(store: Store, id_: str) -> VoiceRecord | None:
    rows = await store.read(_GET, {"id": id_})
    return _record(rows[0]) if rows else None


async def named(store: Store, account: str | None, name: str) -> VoiceRecord | None:
    """Find the voice of this name: the account's, or the operator's without an account."""
    rows = await store.read(_NAMED, {"account": account or "", "name": name})
    return _record(rows[0]) if rows else None


async def add_cast(
    store: Store,
    account: str | None,
    cast: NewCast,
    *,
    most: int | None = None,
    act: Act | None = None,
) -> VoiceRecord | None:
    """Add a cast. With an act, it has the id that the act is about.

    None means that the account has `most` voices already. Raises AlreadyExists when the name is taken.
    """
    row: Params = {
        "id": act.subject if act else new_id("voice"),
        "account": account,
        "name": cast.name,
        "kind": "cast",
        "created": act.at if act else await store.now(),
        "members": encode_json(cast.members),
        "tags": encode_json(cast.tags),
        "description": cast.description,
        "most": most,
    }
    _, rows, *_ = await store.write(
        Statement(_HOLD, {"account": account}),
        Statement(_INSERT, row),
        *audit.insert_statements(act, _WAS_MADE),
    )
    return _record(rows[0]) if rows else None


async def delete(store: Store, id_: str, act: Act | None = None) -> bool:
    """Delete a voice, and tell whether it was there."""
    *_, rows = await store.write(*audit.insert_statements(act, _WAS_MADE), Statement(_DELETE, {"id": id_}))
    return bool(rows)


def _record(row: Row) -> VoiceRecord:
    lists = {column: decode_json(row[column]) for column in ("members", "tags")}
    return msgspec.convert({**row, **lists}, VoiceRecord)
