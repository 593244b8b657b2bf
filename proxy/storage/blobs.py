"""Sealed recordings as rows: the wrapped key of each, and each account's own key for its digests."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import msgspec

from proxy.storage.store import Params, Statement, Store
from proxy.storage.tables import Tables

_ACCOUNT_KEY = "SELECT wrapped FROM account_keys WHERE account = :account"
# The first key stays, so that digests do not change.
_ADD_ACCOUNT_KEY = """
INSERT INTO account_keys (account, wrapped) VALUES (:account, :wrapped) ON CONFLICT (account) DO NOTHING
"""
_DELETE_ACCOUNT_KEY = "DELETE FROM account_keys WHERE account = :account"

_FIND = "SELECT account, digest, wrapped, size FROM blobs WHERE account = :account AND digest = :digest"
_PUT = """
INSERT INTO blobs (account, digest, wrapped, size, created)
VALUES (:account, :digest, :wrapped, :size, :created)
ON CONFLICT (account, digest) DO UPDATE
SET wrapped = excluded.wrapped, size = excluded.size, created = excluded.created
"""
_TOUCH = """
UPDATE blobs SET created = :created WHERE account = :account AND digest = :digest RETURNING digest
"""
_HOLD = "UPDATE blobs SET size = size WHERE account = :account AND digest = :digest"
LIST = "SELECT account, digest FROM blobs"

IS_STORED = """
(CAST(:digest AS TEXT) IS NULL
    OR EXISTS (SELECT 1 FROM blobs WHERE account = :account AND digest = :digest))
"""
"""SQL for the INSERT of a row that may name a blob. After `hold_statements`, no drop comes between."""


class BlobRow(msgspec.Struct, frozen=True):
    """A sealed recording. `size` counts its plain bytes."""

    account: str
    digest: str
    wrapped: str
    size: int


async def account_key(store: Store, account: str) -> str | None:
    rows = await store.read(_ACCOUNT_KEY, {"account": account})
    return rows[0]["wrapped"] if rows else None


async def add_account_key(store: Store, account: str, wrapped: str) -> str:
    """Add a key, unless the account has one. Return the wrapped key that counts."""
    await store.write(Statement(_ADD_ACCOUNT_KEY, {"account": account, "wrapped": wrapped}))
    return await account_key(store, account) or wrapped


def delete_account_key_statement(account: str) -> Statement:
    """Make the digests of an account unlinkable: none can be computed again."""
    return Statement(_DELETE_ACCOUNT_KEY, {"account": account})


async def find(store: Store, account: str, digest: str) -> BlobRow | None:
    rows = await store.read(_FIND, {"account": account, "digest": digest})
    return msgspec.convert(rows[0], BlobRow) if rows else None


async def put(store: Store, blob: BlobRow) -> None:
    """Add a blob, or replace the key of one whose file was lost."""
    row: Params = {**msgspec.structs.asdict(blob), "created": await store.now()}
    await store.write(Statement(_PUT, row))


async def touch(store: Store, account: str, digest: str) -> bool:
    """Note that a blob was put once more, so that it does not look left over. Return False if it is gone."""
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


def hold_statements(account: str | None, digest: str | None) -> tuple[Statement, ...]:
    """Return statements that keep a blob from being dropped until the end of their unit of work."""
    return () if digest is None else (Statement(_HOLD, {"account": account or "", "digest": digest}),)


async def delete_unused(store: Store, account: str, digests: Iterable[str]) -> list[str]:
    """Delete the rows of unused recordings. Return their digests."""
    names: list[Params] = [{"account": account, "digest": digest} for digest in sorted(set(digests))]
    if not names:
        return []
    # All rows are locked before the first check, so that a sample that is being added is seen.
    delete = f"""
    DELETE FROM blobs WHERE account = :account AND digest = :digest AND {_is_unused(store.tables)}
    RETURNING digest
    """
    statements = [Statement(sql, each) for sql in (_HOLD, delete) for each in names]
    answers = await store.write(*statements)
    return [row["digest"] for rows in answers[len(names) :] for row in rows]


async def list_unused(store: Store, before: int) -> list[tuple[str, str]]:
    """List account and digest of the blobs from before then that nothing names."""
    unused = f"{LIST} WHERE created < :before AND {_is_unused(store.tables)}"
    return [(row["account"], row["digest"]) for row in await store.read_long(unused, {"before": before})]


async def list_all(store: Store) -> set[tuple[str, str]]:
    """List account and digest of all blobs."""
    return {(row["account"], row["digest"]) for row in await store.read_long(LIST)}
