"""Alerts as rows, so that a restart neither forgets one nor sends it twice."""

from __future__ import annotations

import msgspec

from policies.alerts import Alert, AlertChange
from proxy.storage.rows import columns, read_known
from proxy.storage.store import Condition, Statement, Store
from proxy.storage.tables import Table

TABLE = Table("alerts")

_LIST = f"SELECT {columns(Alert)} FROM alerts ORDER BY since, id"
_INSERT = f"""
INSERT INTO alerts ({columns(Alert)})
VALUES (:id, :kind, :name, :detail, :since, CAST(:mailed AS BIGINT), CAST(:gone AS BIGINT), :machine)
ON CONFLICT (id) DO NOTHING
"""
_UPDATE = """
UPDATE alerts SET detail = :detail, mailed = CAST(:mailed AS BIGINT), gone = CAST(:gone AS BIGINT)
WHERE id = :id
"""
_LOCK = "UPDATE alerts SET detail = detail WHERE id = :alert"
_IS_UNSENT = "EXISTS (SELECT 1 FROM alerts WHERE id = :alert AND mailed IS NULL)"
_IS_ENDING = "EXISTS (SELECT 1 FROM alerts WHERE id = :alert AND gone IS NOT NULL)"
_DELETE = "DELETE FROM alerts WHERE id = :id"


async def list_all(store: Store) -> list[Alert]:
    return read_known(await store.read(_LIST), Alert)


def change_statement(change: AlertChange) -> Statement:
    """Return the statement that writes a change. An alert that ends or is dropped is deleted."""
    if change.step in ("end", "drop"):
        return Statement(_DELETE, {"id": change.alert.id})
    # An alert that was mailed has its row already.
    is_new = change.step == "save" and change.alert.mailed is None
    return Statement(_INSERT if is_new else _UPDATE, msgspec.structs.asdict(change.alert))


def mail_condition(change: AlertChange) -> Condition:
    """Return the condition under which the mail of a change is sent. It comes before the change in the
    commit, so of two machines that look at the same moment one sends it."""
    params = {"alert": change.alert.id}
    return Condition(_IS_UNSENT if change.step == "send" else _IS_ENDING, params, (Statement(_LOCK, params),))
