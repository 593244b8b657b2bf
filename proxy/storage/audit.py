"""The audit: who changed accounts, keys and money. An act is written in one unit of work with its change."""

from __future__ import annotations

import msgspec

from proxy.storage.rows import NEWEST, Place, columns, insert_sql
from proxy.storage.store import Params, Statement, Store


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """One change. `actor` is a key's id, or `control` for the owner of the server's control socket.

    `action` is a noun and a verb (`key.created`), `subject` the id of what was changed, `details` a JSON
    object.
    """

    id: str
    at: int
    actor: str
    action: str
    subject: str
    account: str
    details: str = "{}"


_COLUMNS = columns(Act)
_INSERT = insert_sql("audit", Act)
_VALUES = ", ".join(f":{name}" for name in Act.__struct_fields__)
_PAGE = """
at >= :since AND at <= :at AND (at < :at OR id < :id) ORDER BY at DESC, id DESC LIMIT :limit
"""
_LIST = f"SELECT {_COLUMNS} FROM audit WHERE {_PAGE}"
_LIST_OF_ACCOUNT = f"SELECT {_COLUMNS} FROM audit WHERE account = :account AND {_PAGE}"
_AT = "SELECT at FROM audit WHERE id = :id"
_NO_FACTS: Params = {}


def insert_statements(act: Act | None, only_if: str = "", facts: Params = _NO_FACTS) -> tuple[Statement, ...]:
    """Write an act, for one unit of work with its change. Without an act there is no statement.

    `only_if` is SQL over the act's values and further facts. It is true when the change does happen, so that
    revoking twice is one act.
    """
    if act is None:
        return ()
    sql = f"INSERT INTO audit ({_COLUMNS}) SELECT {_VALUES} WHERE {only_if}" if only_if else _INSERT
    return (Statement(sql, {**msgspec.structs.asdict(act), **facts}),)


async def list_(
    store: Store, *, account: str | None = None, since: int = 0, place: Place = NEWEST, limit: int
) -> list[Act]:
    """List acts, the newest first, of one account or of all, from the place on."""
    parameters: Params = {"since": since, "at": place.at, "id": place.id, "limit": limit}
    if account is None:
        rows = await store.read(_LIST, parameters)
    else:
        rows = await store.read(_LIST_OF_ACCOUNT, {**parameters, "account": account})
    return msgspec.convert(rows, list[Act])


async def place_of(store: Store, id_: str) -> Place | None:
    rows = await store.read(_AT, {"id": id_})
    return Place(rows[0]["at"], id_) if rows else None
