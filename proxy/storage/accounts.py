"""Accounts: who pays. An account is closed, never deleted, since its usage stays on record."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from policies.plans import Overrides
from proxy.storage import audit
from proxy.storage.audit import Act
from proxy.storage.rows import Place, decode_json, encode_json, new_id
from proxy.storage.store import Params, Row, Statement, Store

_COLUMNS = "id, name, plan, created, closed, anchor, agreed"
_INSERT = f"""
INSERT INTO accounts (id, name, plan, created, anchor, agreed)
VALUES (:id, :name, :plan, :created, :created, :agreed) RETURNING {_COLUMNS}
"""
_PAGE = f"""
SELECT {_COLUMNS} FROM accounts WHERE created < :at OR (created = :at AND id < :id)
ORDER BY created DESC, id DESC LIMIT :limit
"""
_PLACE = "SELECT created FROM accounts WHERE id = :id"
# An account may be named like another one's id; then the id means what it says.
_GET = f"""
SELECT {_COLUMNS} FROM accounts WHERE id = :id_or_name OR name = :id_or_name
ORDER BY CASE WHEN id = :id_or_name THEN 0 ELSE 1 END LIMIT 1
"""
# Changing. The first statement changes nothing: it makes a second change wait for the first one's commit,
# where a database runs several writes at once. What was read must still be so, for the act and the change.
_HOLD = "UPDATE accounts SET id = id WHERE id = :id"
_AS_READ = "id = :of AND plan = :old_plan AND agreed = :old_agreed AND closed IS NULL"
_ACT_IF = f"EXISTS (SELECT 1 FROM accounts WHERE {_AS_READ})"
_CHANGE = f"""
UPDATE accounts SET plan = :new_plan, agreed = :new_agreed WHERE {_AS_READ} RETURNING {_COLUMNS}
"""
_WAS_CLOSED = "EXISTS (SELECT 1 FROM accounts WHERE id = :subject AND closed = :at)"
BY_PLAN = "SELECT plan, count(*) AS accounts FROM accounts WHERE closed IS NULL GROUP BY plan"
_CLOSE = f"UPDATE accounts SET closed = coalesce(closed, :closed) WHERE id = :id RETURNING {_COLUMNS}"
_TAKE_AWAY = [f"DELETE FROM {table} WHERE account = :id" for table in ("lexicons", "voices")]
_PLANS_IN_USE = "SELECT DISTINCT plan FROM accounts WHERE closed IS NULL"


_NOTHING = Overrides()
_TRIES = 5


class Account(msgspec.Struct, frozen=True):
    """`anchor` is where its cycles are counted from; `agreed` stands in the place of its plan's word."""

    id: str
    name: str
    plan: str
    created: int
    closed: int | None = None
    anchor: int = 0
    agreed: Overrides = Overrides()


class Change(msgspec.Struct, frozen=True):
    """What an account shall be on, and what is agreed with it; the act that tells of it."""

    plan: str
    agreed: Overrides
    act: Act | None = None


class Overtaken(Exception):
    """Others changed the account each time between our look at it and our change."""


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
    (created,), *_ = await store.write(Statement(_INSERT, row), *audit.insert_statements(act))
    return _account(created)


async def page(store: Store, place: Place, limit: int) -> list[Account]:
    """Closed ones among them, the newest first, those before the place."""
    asked: Params = {"at": place.at, "id": place.id, "limit": limit}
    return [_account(row) for row in await store.read(_PAGE, asked)]


async def place_of(store: Store, id_: str) -> Place | None:
    rows = await store.read(_PLACE, {"id": id_})
    return Place(rows[0]["created"], id_) if rows else None


async def get(store: Store, id_or_name: str) -> Account | None:
    return _one(await store.read(_GET, {"id_or_name": id_or_name}))


async def change(
    store: Store, account: str, decide: Callable[[Account], Awaitable[Change]]
) -> Account | None:
    """The account as it is now, or None where there is none; raises what `decide` raises, and Overtaken.

    What is decided follows from the account as it was read, and is written only where it still is so: else it
    is read and decided anew. A closed account is never changed. Forget its callers afterwards.
    """
    for _ in range(_TRIES):
        rows = await store.read(_GET, {"id_or_name": account})
        if not rows:
            return None
        read = _account(rows[0])
        decided = await decide(read)
        # As the text that was read: an older version may have written the same in other words.
        before: Params = {"of": read.id, "old_plan": read.plan, "old_agreed": rows[0]["agreed"]}
        after: Params = {"new_plan": decided.plan, "new_agreed": encode_json(decided.agreed)}
        *_, changed = await store.write(
            Statement(_HOLD, {"id": read.id}),
            *audit.insert_statements(decided.act, _ACT_IF, before),
            Statement(_CHANGE, {**before, **after}),
        )
        if changed:
            return _account(changed[0])
    raise Overtaken(account)


async def close(store: Store, account: str, act: Act | None = None) -> Account | None:
    """Its keys are dead from now on, what it saved is gone; closing twice keeps the first time. Forget its
    callers afterwards."""
    row: Params = {"id": account, "closed": act.at if act else await store.now()}
    saved = [Statement(sql, {"id": account}) for sql in _TAKE_AWAY]
    rows, *_ = await store.write(Statement(_CLOSE, row), *audit.insert_statements(act, _WAS_CLOSED), *saved)
    return _one(rows)


async def by_plan(store: Store) -> dict[str, int]:
    """How many open accounts each plan has, where it has any."""
    return {row["plan"]: row["accounts"] for row in await store.read(BY_PLAN)}


async def plans_in_use(store: Store) -> frozenset[str]:
    """The plans that accounts are on; a closed one needs none."""
    return frozenset(str(row["plan"]) for row in await store.read(_PLANS_IN_USE))


def _one(rows: list[Row]) -> Account | None:
    return _account(rows[0]) if rows else None


def _account(row: Row) -> Account:
    return msgspec.convert({**row, "agreed": decode_json(row["agreed"])}, Account)
