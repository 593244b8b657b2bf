"""Keys as rows: the credentials of an account, without the secret, which is shown once and never kept."""

from __future__ import annotations

from typing import Literal

import msgspec

from proxy.keys import Key
from proxy.storage.ids import new_id
from proxy.storage.store import Params, Row, Statement, Store

Role = Literal["speech", "admin"]

_COLUMNS = "id, account, role, name, hint, created, expires, revoked"
_INSERT = f"""
INSERT INTO keys (id, account, hash, role, name, hint, created, expires)
VALUES (:id, :account, :hash, :role, :name, :hint, :created, :expires)
RETURNING {_COLUMNS}
"""
_LIST = f"SELECT {_COLUMNS} FROM keys ORDER BY created, id"
_LIST_OF_ACCOUNT = f"SELECT {_COLUMNS} FROM keys WHERE account = :account ORDER BY created, id"
_GET = f"SELECT {_COLUMNS} FROM keys WHERE id = :id"
_REVOKE = f"UPDATE keys SET revoked = coalesce(revoked, :revoked) WHERE id = :id RETURNING {_COLUMNS}"
# Rotating. The first statement changes nothing: it makes a second rotation wait for the first one's commit,
# where a database runs several writes at once.
_HOLD = "UPDATE keys SET id = id WHERE id = :id"
_INSERT_LIKE = f"""
INSERT INTO keys (id, account, hash, role, name, hint, created, expires)
SELECT :new_id, account, :hash, role, name, :hint, :now, expires FROM keys WHERE id = :id AND revoked IS NULL
RETURNING {_COLUMNS}
"""
_REVOKE_LIVE = "UPDATE keys SET revoked = :now WHERE id = :id AND revoked IS NULL"
_BY_HASH = """
SELECT keys.id, keys.account, keys.role, keys.expires, keys.revoked, accounts.plan, accounts.closed
FROM keys JOIN accounts ON accounts.id = keys.account
WHERE keys.hash = :hash
"""


class KeyRecord(msgspec.Struct, frozen=True):
    id: str
    account: str
    role: Role
    name: str
    hint: str
    created: int
    expires: int | None = None
    revoked: int | None = None


class KeyStanding(msgspec.Struct, frozen=True):
    """What decides whether a key is good, and what it may do: the key and its account in one row."""

    id: str
    account: str
    role: Role
    expires: int | None
    revoked: int | None
    plan: str
    closed: int | None


async def create(
    store: Store, key: Key, *, account: str, role: Role = "speech", name: str = "", expires: int | None = None
) -> KeyRecord:
    """Raises MissingReference when there is no such account."""
    row: Params = {
        "id": new_id("key"),
        "account": account,
        "hash": key.digest,
        "role": role,
        "name": name,
        "hint": key.hint,
        "created": await store.now(),
        "expires": expires,
    }
    ((created,),) = await store.write(Statement(_INSERT, row))
    return msgspec.convert(created, KeyRecord)


async def list_(store: Store, *, account: str | None = None) -> list[KeyRecord]:
    """One account's keys or everybody's, revoked ones among them, the oldest first."""
    if account is None:
        rows = await store.read(_LIST)
    else:
        rows = await store.read(_LIST_OF_ACCOUNT, {"account": account})
    return msgspec.convert(rows, list[KeyRecord])


async def get(store: Store, key: str) -> KeyRecord | None:
    return _one(await store.read(_GET, {"id": key}))


async def revoke(store: Store, key: str) -> KeyRecord | None:
    """Dead for good; revoking twice keeps the first time. Forget its callers afterwards."""
    (rows,) = await store.write(Statement(_REVOKE, {"id": key, "revoked": await store.now()}))
    return _one(rows)


async def rotate(store: Store, old: str, new: Key) -> KeyRecord | None:
    """In one unit: a key with the old one's account, role, name and expiry, and the old one revoked.

    None, and nothing has changed, where the old one is revoked or unknown. Forget its callers afterwards.
    """
    now = await store.now()
    row: Params = {"id": old, "new_id": new_id("key"), "hash": new.digest, "hint": new.hint, "now": now}
    _, rows, _ = await store.write(
        Statement(_HOLD, {"id": old}),
        Statement(_INSERT_LIKE, row),
        Statement(_REVOKE_LIVE, {"id": old, "now": now}),
    )
    return _one(rows)


async def by_hash(store: Store, digest: str) -> KeyStanding | None:
    rows = await store.read(_BY_HASH, {"hash": digest})
    return msgspec.convert(rows[0], KeyStanding) if rows else None


def _one(rows: list[Row]) -> KeyRecord | None:
    return msgspec.convert(rows[0], KeyRecord) if rows else None
