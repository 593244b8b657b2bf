"""Keys as rows: the credentials of an account. The secret is shown once and never stored."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

import msgspec

from policies.limits import Caps
from policies.plans import AgreedTerms
from proxy.storage import audit
from proxy.storage.api_key import ApiKey
from proxy.storage.audit import Act
from proxy.storage.listed_tables import ListedTable, lock_account
from proxy.storage.rows import decode_json, encode_json, in_list, new_id
from proxy.storage.store import Params, Row, Statement, Store, Value

Role = Literal["speech", "admin", "host"]
KeyKind = Literal["key", "user", "host"]
"""A `user` is a person who signs in. Its row has no usable secret, and is never listed or rotated.

A key of the role `host` has the kind `host`, and the role `speech` in its row: older versions know no third
role, and refuse keys of this kind."""


class KeyRecord(msgspec.Struct, frozen=True):
    id: str
    account: str
    role: Role
    name: str
    hint: str
    """The last four characters of the secret."""
    created: int
    expires: int | None = None
    revoked: int | None = None
    caps: Caps = Caps()
    kind: KeyKind = "key"


def _record(row: Row) -> KeyRecord:
    role = "host" if row["kind"] == "host" else row["role"]
    return msgspec.convert({**row, "role": role, "caps": decode_json(row["caps"])}, KeyRecord)


ROWS = ListedTable("keys", KeyRecord, read=_record, listed="kind <> 'user'")
get, page, place_of = ROWS.get, ROWS.page, ROWS.place_of
USER_KEYS = ListedTable("keys", KeyRecord, read=_record, listed="kind = 'key' AND role = 'speech'")
"""The keys that the users of an account see. Its admin keys belong to the operator."""
_INSERT = f"""
INSERT INTO keys (id, account, hash, role, name, hint, created, expires, caps, kind)
VALUES (:id, :account, :hash, :role, :name, :hint, :created, :expires, :caps, :kind)
RETURNING {ROWS.columns}
"""
# Revoked and expired keys do not count.
_INSERT_LIMITED = f"""
INSERT INTO keys (id, account, hash, role, name, hint, created, expires, caps)
SELECT :id, accounts.id, :hash, 'speech', :name, :hint,
    CAST(:created AS BIGINT), CAST(:expires AS BIGINT), :caps
FROM accounts WHERE accounts.id = :account AND accounts.closed IS NULL AND (
    SELECT count(*) FROM keys AS other WHERE other.account = :account AND other.kind = 'key'
    AND other.revoked IS NULL AND (other.expires IS NULL OR other.expires > CAST(:created AS BIGINT))
) < CAST(:most AS BIGINT)
RETURNING {ROWS.columns}
"""
_WAS_REVOKED = "EXISTS (SELECT 1 FROM keys WHERE id = :subject AND revoked = :at)"
_WAS_MADE = "EXISTS (SELECT 1 FROM keys WHERE id = :subject)"
_REVOKE = f"UPDATE keys SET revoked = coalesce(revoked, :revoked) WHERE id = :id RETURNING {ROWS.columns}"
# The first statement of a rotation only locks the row, so that a second rotation waits for its commit.
_LOCK = "UPDATE keys SET id = id WHERE id = :id"
_INSERT_LIKE = f"""
INSERT INTO keys (id, account, hash, role, name, hint, created, expires, caps, kind)
SELECT :new_id, account, :hash, role, name, :hint, :now, expires, caps, kind FROM keys
WHERE id = :id AND kind <> 'user' AND revoked IS NULL AND (expires IS NULL OR expires > :now)
  AND EXISTS (SELECT 1 FROM accounts WHERE accounts.id = keys.account AND accounts.closed IS NULL)
RETURNING {ROWS.columns}
"""
_REVOKE_REPLACED = """
UPDATE keys SET revoked = :now WHERE id = :id AND EXISTS (SELECT 1 FROM keys AS made WHERE made.id = :new_id)
"""
STATUS_COLUMNS = """
keys.hash, keys.id, keys.account, keys.kind, keys.role, keys.expires, keys.revoked, keys.caps,
accounts.plan, accounts.closed, accounts.anchor, accounts.agreed, accounts.suspended,
accounts.paid_until, accounts.lapsed_plan, accounts.has_paid, accounts.preferred_voice
"""
"""The columns of a `KeyStatus`, for a query on keys and accounts. See `status_of`."""
_STATUS = f"SELECT {STATUS_COLUMNS} FROM keys JOIN accounts ON accounts.id = keys.account"
# A user's key has no secret, so it is never found by one.
_BY_HASH = f"{_STATUS} WHERE keys.hash IN ({{hashes}}) AND keys.kind <> 'user'"
_BY_ID = f"{_STATUS} WHERE keys.id IN ({{ids}})"


class NewKeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The values for a new key. `caps` are its own limits, below those of its account."""

    account: str
    role: Role = "speech"
    name: str = ""
    expires: int | None = None
    caps: Caps = Caps()


class KeyStatus(msgspec.Struct, frozen=True):
    """A key with the values of its account that decide whether the key is good, and what it may do."""

    id: str
    account: str
    role: Role
    expires: int | None
    revoked: int | None
    plan: str
    closed: int | None
    anchor: int
    agreed: AgreedTerms
    caps: Caps
    suspended: int | None
    paid_until: int | None
    lapsed_plan: str
    has_paid: bool
    preferred_voice: str


async def create(store: Store, key: ApiKey, values: NewKeyRecord, act: Act | None = None) -> KeyRecord:
    """Create a key. With an act, it has the id that the act is about.

    Raises MissingReference when there is no such account.
    """
    id_, created_at = (act.subject, act.at) if act else (new_id("key"), await store.now())
    row = _new_row(id_, created_at, key, values)
    (created,), *_ = await store.write(Statement(_INSERT, row), *audit.insert_statements(act))
    return _record(created)


async def create_limited(
    store: Store, key: ApiKey, values: NewKeyRecord, most: int, act: Act
) -> KeyRecord | None:
    """Create a key of the role speech. None: the account has `most` valid keys already, or it is closed."""
    row = {**_new_row(act.subject, act.at, key, values), "most": most}
    _, rows, *_ = await store.write(
        lock_account(values.account),
        Statement(_INSERT_LIMITED, row),
        *audit.insert_statements(act, _WAS_MADE),
    )
    return _first_record(rows)


def _new_row(id_: str, created: int, key: ApiKey, values: NewKeyRecord) -> dict[str, Value]:
    return {
        **msgspec.structs.asdict(values),
        "role": "speech" if values.role == "host" else values.role,
        "kind": "host" if values.role == "host" else "key",
        "id": id_,
        "hash": key.digest,
        "hint": key.hint,
        "created": created,
        "caps": encode_json(values.caps),
    }


async def revoke(store: Store, key: str, act: Act | None = None) -> KeyRecord | None:
    """Revoke a key. Revoking twice keeps the first time. Forget its callers afterwards."""
    row: Params = {"id": key, "revoked": act.at if act else await store.now()}
    rows, *_ = await store.write(Statement(_REVOKE, row), *audit.insert_statements(act, _WAS_REVOKED))
    return _first_record(rows)


async def rotate(store: Store, old: str, new: ApiKey, act: Act | None = None) -> KeyRecord | None:
    """Replace a key by a new one with its account, role, name, expiry and caps, in one unit of work.

    The act is about the new key. None means that nothing has changed: the old key is unknown, revoked,
    expired, or of a closed account. Forget its callers afterwards.
    """
    now = act.at if act else await store.now()
    new_key = act.subject if act else new_id("key")
    row: Params = {"id": old, "new_id": new_key, "hash": new.digest, "hint": new.hint, "now": now}
    both: Params = {"id": old, "new_id": new_key}
    of_tables = [Statement(sql, both) for table in store.tables for sql in table.rotated_with]
    _, rows, *_ = await store.write(
        Statement(_LOCK, {"id": old}),
        Statement(_INSERT_LIKE, row),
        Statement(_REVOKE_REPLACED, {**both, "now": now}),
        *of_tables,
        *audit.insert_statements(act, _WAS_MADE),
    )
    return _first_record(rows)


async def find_by_hash(store: Store, digest: str) -> KeyStatus | None:
    return (await find_by_hashes(store, (digest,))).get(digest)


async def find_by_hashes(store: Store, digests: Sequence[str]) -> dict[str, KeyStatus]:
    """Return the status of each of these keys that exists, by its digest, in one query."""
    hashes, params = in_list(digests)
    rows = await store.read(_BY_HASH.format(hashes=hashes), params)
    return {row["hash"]: status_of(row) for row in rows}


async def find_by_ids(store: Store, keys: Collection[str]) -> dict[str, KeyStatus]:
    ids, params = in_list([*keys])
    return {row["id"]: status_of(row) for row in await store.read(_BY_ID.format(ids=ids), params)}


async def find_by_id(store: Store, key: str) -> KeyStatus | None:
    return (await find_by_ids(store, (key,))).get(key)


def status_of(row: Row) -> KeyStatus:
    role = "host" if row["kind"] == "host" else row["role"]
    columns = {**row, "role": role, "caps": decode_json(row["caps"]), "agreed": decode_json(row["agreed"])}
    return msgspec.convert({**columns, "has_paid": bool(row["has_paid"])}, KeyStatus)


def _first_record(rows: list[Row]) -> KeyRecord | None:
    return _record(rows[0]) if rows else None
