"""The audit: changes of accounts, keys and money. An act is written in one unit of work with its change."""

from __future__ import annotations

import msgspec

from proxy.storage.listed_tables import ListedTable
from proxy.storage.rows import NEWEST, PagePlace, encode_json, insert_sql, new_id
from proxy.storage.store import Params, Statement, Store


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """One change. `actor` is a key's id, `control` for the owner of the server's control socket, or `voxgate`
    for the server itself.

    `action` is a noun and a verb (`key.created`), `subject` the id or the name of what was changed, `details`
    a JSON object.
    """

    id: str
    at: int
    actor: str
    action: str
    subject: str
    account: str
    details: str = "{}"


ROWS = ListedTable("audit", Act, at="at", listed="at >= :since")
_INSERT = insert_sql("audit", Act)
_VALUES = ", ".join(f":{name}" for name in Act.__struct_fields__)
_NO_FACTS: Params = {}


def new_act(at: int, actor: str, action: str, subject: str, account: str, **details: object) -> Act:
    return Act(
        id=new_id("aud"),
        at=at,
        actor=actor,
        action=action,
        subject=subject,
        account=account,
        details=encode_json(details),
    )


def insert_statements(act: Act | None, only_if: str = "", facts: Params = _NO_FACTS) -> tuple[Statement, ...]:
    """Return the statement that writes an act, for the commit of its change, or none without an act.

    `only_if` is SQL over the values of the act and of `facts`. It is true if the change happens, so that
    revoking twice is one act.
    """
    if act is None:
        return ()
    sql = f"INSERT INTO audit ({ROWS.columns}) SELECT {_VALUES} WHERE {only_if}" if only_if else _INSERT
    return (Statement(sql, {**msgspec.structs.asdict(act), **facts}),)


async def list_acts(
    store: Store, *, account: str | None = None, since: int = 0, place: PagePlace = NEWEST, limit: int
) -> list[Act]:
    return await ROWS.page(store, account, place, limit, {"since": since})
