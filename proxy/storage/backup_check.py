"""The check of a backup's rows before any of them counts: what names files, and what would write by itself.

A backup may be a stranger's. `quick_check` says that it is whole, not that it is harmless.
"""

from __future__ import annotations

import sqlite3

from proxy.storage import backup_tables
from proxy.storage.disk_names import DiskName, UnsafeName
from proxy.storage.tables import PathColumn, Tables

# Triggers, views and virtual tables have no page of their own. Ours has none of them, in any version: with
# them, a row that was checked could become another.
_ACTS = "SELECT type, name FROM sqlite_schema WHERE coalesce(rootpage, 0) = 0 LIMIT 1"


def check(connection: sqlite3.Connection, schema: int, tables: Tables) -> None:
    """Raise UnsafeName, with table and row, for the first value that must not become a path.

    The tables must be those of the schema, exactly; what an older one lacks is passed over. Raises
    sqlite3.Error.
    """
    acts = connection.execute(_ACTS).fetchone()
    if acts is not None:
        raise UnsafeName(f"it has the {acts[0]} {ascii(acts[1])[:100]}, and no backup of voxgate has one")
    columns = backup_tables.check(connection, schema)
    for table in tables:
        for column in table.paths:
            if (table.name, column.name) in columns:
                _check_column(connection, table.name, column)


def _check_column(connection: sqlite3.Connection, table: str, column: PathColumn) -> None:
    rows = connection.execute(f"SELECT rowid, {column.name} FROM {table}")
    for number, value in rows:
        if value is None or value == column.unless:
            continue
        try:
            (column.check or DiskName)(value)
        except UnsafeName as unsafe:
            where = f"table {table}, row {number}, {column.name}"
            raise UnsafeName(f"{where}: {unsafe}") from None
