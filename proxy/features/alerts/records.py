"""Alerts as rows, so that a restart neither forgets one nor sends it twice."""

from __future__ import annotations

import msgspec

from policies.alerts import Alert, AlertChange
from proxy.storage.rows import columns, read_known
from proxy.storage.store import Condition, Statement, Store
from proxy.storage.tables import Table

TABLE = Table("alerts")

_LIST = f"SELECT {columns(Alert)} FROM alerts ORDER BY since, id"
_SAVE = f"""
INSERT INTO alerts ({columns(Alert)})
VALUES (:id, :kind, :name, :detail, :since, CAST(:mailed AS BIGINT), CAST(:gone AS BIGINT), :machine)
ON CONFLICT (id) DO NOTHING
"""
_CHANGE = """
UPDATE alerts SET detail = :detail, mailed = CAST(:mailed AS BIGINT), gone = CAST(:gone AS BIGINT)
WHERE id = :id
"""
_LOCK = "UPDATE alerts SET detail = detail WHERE id = :alert"
_IS_UNSENT = "EXISTS (SELECT 1 FROM alerts WHERE id = :alert AND mailed IS NULL)"
_HAS_NO_END = "EXISTS (SELECT 1 FROM alerts WHERE id = :alert AND gone IS NOT NULL)"
_DROP = "DELETE FROM alerts WHERE id = :id"


async def list_all(store: Store) -> list[Alert]:
    return read_known(await store.read(_LIST), Alert)


def statement(change: AlertChange) -> Statement:
    """Return the statement of a change: a dropped alert, and one that ends, is deleted."""
    if change.step in ("end", "drop"):
        return Statement(_DROP, {"id": change.alert.id})
    is_new = change.step == "save" and change.alert.mailed is None
    return Statement(_SAVE if is_new else _CHANGE, msgspec.structs.asdict(change.alert))


def is_due(change: AlertChange) -> Condition:
    """Return the condition of the mail of a change, before its statement in the commit. Two machines may
    look at the same moment, and one mail is sent."""
    params = {"alert": change.alert.id}
    return Condition(
        _IS_UNSENT if change.step == "send" else _HAS_NO_END, params, (Statement(_LOCK, params),)
    )
