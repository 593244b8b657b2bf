"""Alerts as rows, so that a restart neither forgets one nor sends it twice."""

from __future__ import annotations

import msgspec

from policies.alerts import Alert, AlertChange
from proxy.storage.rows import columns
from proxy.storage.store import Statement, Store
from proxy.storage.tables import Table

TABLE = Table("alerts")

_LIST = f"SELECT {columns(Alert)} FROM alerts ORDER BY since, id"
_SAVE = f"""
INSERT INTO alerts ({columns(Alert)})
VALUES (:id, :kind, :name, :detail, :since, CAST(:mailed AS BIGINT), CAST(:gone AS BIGINT))
ON CONFLICT (id) DO UPDATE SET detail = excluded.detail, mailed = excluded.mailed, gone = excluded.gone
"""
_DROP = "DELETE FROM alerts WHERE id = :id"


async def list_all(store: Store) -> list[Alert]:
    return [msgspec.convert(row, Alert) for row in await store.read(_LIST)]


def statement(change: AlertChange) -> Statement:
    """Return the statement of a change: a dropped alert, and one that ends, is deleted."""
    if change.step in ("end", "drop"):
        return Statement(_DROP, {"id": change.alert.id})
    return Statement(_SAVE, msgspec.structs.asdict(change.alert))
