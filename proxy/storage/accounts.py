"""Accounts: who pays. An account is closed, never deleted, since its usage stays on record."""

from __future__ import annotations

import msgspec

from policies.plans import Overrides
from proxy.storage import audit
from proxy.storage.audit import Act
from proxy.storage.columns import decode_json, encode_json
from proxy.storage.ids import new_id
from proxy.storage.store import Params, Row, Statement, Store

_COLUMNS = "id, name, plan, created, closed, anchor, agreed"
_INSERT = f"""
INSERT INTO accounts (id, name, plan, created, anchor, agreed)
VALUES (:id, :name, :plan, :created, :created, :agreed) RETURNING {_COLUMNS}
"""
_LIST = f"SELECT {_COLUMNS} FROM accounts ORDER BY created, id"
# An account may be named like another one's id; then the id means what it says.
_GET = f"""
SELECT {_COLUMNS} FROM accounts WHERE id = :id_or_name OR name = :id_or_name
ORDER BY CASE WHEN id = :id_or_name THEN 0 ELSE 1 END LIMIT 1
"""
_SET_PLAN = f"""
UPDATE accounts SET plan = :plan, agreed = coalesce(:agreed, agreed) WHERE id = :id RETURNING {_COLUMNS}
"""
_WAS_CLOSED = "EXISTS (SELECT 1 FROM accounts WHERE id = :subject AND closed = :at)"
_BY_PLAN = "SELECT plan, count(*) AS accounts FROM accounts WHERE closed IS NULL GROUP BY plan"
_CLOSE = f"UPDATE accounts SET closed = coalesce(closed, :closed) WHERE id = :id RETURNING {_COLUMNS}"
_PLANS_IN_USE = "SELECT DISTINCT plan FROM accounts WHERE closed IS NULL"


_NOTHING = Overrides()


class Account(msgspec.Struct, frozen=True):
    """`anchor` is where its cycles are counted from; `agreed` stands in the place of its plan's word."""

    id: str
    name: str
    plan: str
    created: int
    closed: int | None = None
    anchor: int = 0
    agreed: Overrides = Overrides()


async def create(
    store: Store, *, name: str, plan: str, agreed: Overrides = _NOTHING, act: Act | None = None
) -> Account:
    """With the id that the act is about, where there is one. Raises AlreadyExists when the name is taken, by
    a closed account too."""
    row: Params = {
        "id": act.subject if act else new_id("acc"),
        "name": name,
        "plan": plan,
        "created": act.at if act else await store.now(),
        "agreed": encode_json(agreed),
    }
    (created,), *_ = await store.write(Statement(_INSERT, row), *audit.added(act))
    return _account(created)


async def list_(store: Store) -> list[Account]:
    """Every account, closed ones among them, the oldest first."""
    return [_account(row) for row in await store.read(_LIST)]


async def get(store: Store, id_or_name: str) -> Account | None:
    return _one(await store.read(_GET, {"id_or_name": id_or_name}))


async def set_plan(
    store: Store, account: str, plan: str, agreed: Overrides | None = None, act: Act | None = None
) -> Account | None:
    """The account as it is now, or None where there is none; `agreed` stays where nothing new is given.
    Forget its callers afterwards."""
    row: Params = {"id": account, "plan": plan, "agreed": None if agreed is None else encode_json(agreed)}
    rows, *_ = await store.write(Statement(_SET_PLAN, row), *audit.added(act))
    return _one(rows)


async def close(store: Store, account: str, act: Act | None = None) -> Account | None:
    """Its keys are dead from now on; closing twice keeps the first time. Forget its callers afterwards."""
    row: Params = {"id": account, "closed": act.at if act else await store.now()}
    rows, *_ = await store.write(Statement(_CLOSE, row), *audit.added(act, _WAS_CLOSED))
    return _one(rows)


async def by_plan(store: Store) -> dict[str, int]:
    """How many open accounts each plan has, where it has any."""
    return {row["plan"]: row["accounts"] for row in await store.read(_BY_PLAN)}


async def plans_in_use(store: Store) -> frozenset[str]:
    """The plans that accounts are on; a closed one needs none."""
    return frozenset(str(row["plan"]) for row in await store.read(_PLANS_IN_USE))


def _one(rows: list[Row]) -> Account | None:
    return _account(rows[0]) if rows else None


def _account(row: Row) -> Account:
    return msgspec.convert({**row, "agreed": decode_json(row["agreed"])}, Account)
