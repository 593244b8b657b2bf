"""Sealed recordings as rows, with their wrapped keys, and the key of each account for its digests."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import msgspec

from proxy.storage.store import Params, Row, Statement, Store
from proxy.storage.tables import Tables
from proxy.storage.turns import MOST_ROWS, write_in_turn
from speech_engine.redacted import Redacted

_ACCOUNT_KEY = "SELECT wrapped FROM account_keys WHERE account = :account"
# The first key stays, so that digests do not change.
_ADD_ACCOUNT_KEY = """
INSERT INTO account_keys (account, wrapped) VALUES (:account, :wrapped) ON CONFLICT (account) DO NOTHING
"""
_DELETE_ACCOUNT_KEY = "DELETE FROM account_keys WHERE account = :account"

LIST = "SELECT account, digest, wrapped, size, object FROM blobs"
_DELETE_KEYLESS = "DELETE FROM blobs WHERE account = :account AND wrapped = ''"
_FIND = f"{LIST} WHERE account = :account AND digest = :digest"
_PUT = """
INSERT INTO blobs (account, digest, wrapped, size, object, created)
VALUES (:account, :digest, :wrapped, :size, :object, :created)
ON CONFLICT (account, digest) DO UPDATE
SET wrapped = excluded.wrapped, size = excluded.size, object = excluded.object, created = excluded.created
WHERE blobs.object = :before
RETURNING digest
"""
_NO_OBJECT = "-"  # no row has this object, so a row that exists is not replaced
_TOUCH = """
UPDATE blobs SET created = :created WHERE account = :account AND digest = :digest AND wrapped <> ''
RETURNING digest
"""
_LOCK = "UPDATE blobs SET size = size WHERE account = :account AND digest = :digest"

IS_STORED = """
(CAST(:digest AS TEXT) IS NULL
    OR EXISTS (SELECT 1 FROM blobs WHERE account = :account AND digest = :digest AND wrapped <> ''))
"""
"""SQL that is true if the blob `:digest` is stored, or `:digest` is NULL. After `lock_statements` it stays
true until the commit."""

# The rows go with their objects. No row of another table names these blobs: their prefixes differ.
_DROP_KEYS = "UPDATE blobs SET wrapped = '' WHERE (account, digest) IN ({})"


def drop_keys(table: str, *columns: str) -> str:
    """Return SQL that deletes the keys of the blobs in these columns, of the rows `{only}`."""
    return _DROP_KEYS.format(
        " UNION ALL ".join(
            f"SELECT {table}.account, {table}.{column} FROM {table} WHERE {{only}}" for column in columns
        )
    )


class BlobRow(Redacted, msgspec.Struct, frozen=True):
    """A sealed recording. `size` counts its plain bytes. `object` is the last part of the name of its object;
    rows of earlier versions have "", and the digest is that name."""

    account: str
    digest: str
    wrapped: str
    size: int
    object: str = ""


async def account_key(store: Store, account: str) -> str | None:
    rows = await store.read(_ACCOUNT_KEY, {"account": account})
    return rows[0]["wrapped"] if rows else None


async def add_account_key(store: Store, account: str, wrapped: str) -> str:
    """Add a key, unless the account has one. Return the wrapped key that it has now."""
    await store.write(Statement(_ADD_ACCOUNT_KEY, {"account": account, "wrapped": wrapped}))
    return await account_key(store, account) or wrapped


def delete_account_statements(account: str) -> tuple[Statement, ...]:
    """Return the statements that delete an account's key, so that no digest of it can be computed again, and
    its blobs without a key."""
    return tuple(Statement(sql, {"account": account}) for sql in (_DELETE_ACCOUNT_KEY, _DELETE_KEYLESS))


async def find(store: Store, account: str, digest: str) -> BlobRow | None:
    rows = await store.read(_FIND, {"account": account, "digest": digest})
    return msgspec.convert(rows[0], BlobRow) if rows else None


async def put(store: Store, blob: BlobRow, before: BlobRow | None = None) -> bool:
    """Add a blob, or replace the blob `before`, whose object is unreadable. Return False if the database has
    another one."""
    old = _NO_OBJECT if before is None else before.object
    row: Params = {**msgspec.structs.asdict(blob), "created": await store.now(), "before": old}
    (rows,) = await store.write(Statement(_PUT, row))
    return bool(rows)


async def touch(store: Store, account: str, digest: str) -> bool:
    """Note that a blob was put once more, so that it is not deleted as unused. Return False if it is gone."""
    row: Params = {"account": account, "digest": digest, "created": await store.now()}
    (rows,) = await store.write(Statement(_TOUCH, row))
    return bool(rows)


@cache
def _is_unused(tables: Tables) -> str:
    """Return SQL for a blob that no row names."""
    return " AND ".join(
        f"NOT EXISTS (SELECT 1 FROM {table.name} WHERE {table.name}.account = blobs.account "
        f"AND {table.name}.{recording} = blobs.digest)"
        for table in tables
        for recording in table.recordings
    )


def lock_statements(account: str | None, digest: str | None) -> tuple[Statement, ...]:
    """Return the statements that lock a blob's row, so that it is not deleted before the commit."""
    return () if digest is None else (Statement(_LOCK, {"account": account or "", "digest": digest}),)


async def delete_unused(store: Store, account: str, digests: Iterable[str]) -> list[BlobRow]:
    """Delete the rows of unused recordings, and return them."""
    names: list[Params] = [{"account": account, "digest": digest} for digest in sorted(set(digests))]
    # All rows are locked before the first check, so that a sample that is being added is seen.
    delete = f"""
    DELETE FROM blobs WHERE account = :account AND digest = :digest AND {_is_unused(store.tables)}
    RETURNING account, digest, wrapped, size, object
    """
    deleted = list[Row]()
    for first in range(0, len(names), MOST_ROWS // 2):
        part = names[first : first + MOST_ROWS // 2]
        statements = [Statement(sql, each) for sql in (_LOCK, delete) for each in part]
        answers = await write_in_turn(store, len(statements), *statements)
        deleted += [row for rows in answers[len(part) :] for row in rows]
    return [msgspec.convert(row, BlobRow) for row in deleted]


async def list_unused(store: Store, before: int) -> list[tuple[str, str]]:
    """List account and digest of the blobs older than `before` that no row names."""
    unused = f"{LIST} WHERE created < :before AND {_is_unused(store.tables)}"
    return [(row["account"], row["digest"]) for row in await store.read_long(unused, {"before": before})]


async def list_all(store: Store) -> list[BlobRow]:
    return [msgspec.convert(row, BlobRow) for row in await store.read_long(LIST)]
