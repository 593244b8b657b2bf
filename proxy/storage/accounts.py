"""Accounts: who pays. An account is closed, never deleted, since its usage stays on record."""

from __future__ import annotations

import msgspec

from proxy.storage.ids import new_id
from proxy.storage.store import Params, Row, Statement, Store

_COLUMNS = "id, name, plan, created, closed"
_INSERT = f"""
INSERT INTO accounts (id, name, plan, created) VALUES (:id, :name, :plan, :created) RETURNING {_COLUMNS}
"""
_LIST = f"SELECT {_COLUMNS} FROM accounts ORDER BY created, id"
# An account may be named like another one's id; then the id means what it says.
_GET = f"""
SELECT {_COLUMNS} FROM accounts WHERE id = :id_or_name OR name = :id_or_name
ORDER BY CASE WHEN id = :id_or_name THEN 0 ELSE 1 END LIMIT 1
"""
_SET_PLAN = f"UPDATE accounts SET plan = :plan WHERE id = :id RETURNING {_COLUMNS}"
_CLOSE = f"UPDATE accounts SET closed = coalesce(closed, :closed) WHERE id = :id RETURNING {_COLUMNS}"


class Account(msgspec.Struct, frozen=True):
    id: str
    name: str
    plan: str
    created: int
    closed: int | None = None


async def create(store: Store, *, name: str, plan: str) -> Account:
    """Raises AlreadyExists when the name is taken, by a closed account too."""
    row: Params = {"id": new_id("acc"), "name": name, "plan": plan, "created": await store.now()}
    ((created,),) = await store.write(Statement(_INSERT, row))
    return msgspec.convert(created, Account)


async def list_(store: Store) -> list[Account]:
    """Every account, closed ones among them, the oldest first."""
    return msgspec.convert(await store.read(_LIST), list[Account])


async def get(store: Store, id_or_name: str) -> Account | None:
    return _one(await store.read(_GET, {"id_or_name": id_or_name}))


async def set_plan(store: Store, account: str, plan: str) -> Account | None:
    """The account as it is now, or None where there is none. Forget its callers afterwards."""
    (rows,) = await store.write(Statement(_SET_PLAN, {"id": account, "plan": plan}))
    return _one(rows)


async def close(store: Store, account: str) -> Account | None:
    """Its keys are dead from now on; closing twice keeps the first time. Forget its callers afterwards."""
    (rows,) = await store.write(Statement(_CLOSE, {"id": account, "closed": await store.now()}))
    return _one(rows)


def _one(rows: list[Row]) -> Account | None:
    return msgspec.convert(rows[0], Account) if rows else None
