"""The check of a backup before any row of it counts: its tables, its triggers, and values that name files.

A backup may be a stranger's. `quick_check` says that it is whole, not that it is harmless.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing

from proxy.storage.disk_names import DiskName, UnsafeName
from proxy.storage.schema import statements_up_to
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
    columns = check_tables(connection, schema)
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


Columns = frozenset[tuple[str, str]]
"""Table and column of each."""

_Shape = frozenset[tuple[object, ...]]

# SQLite's own, such as its statistics, are not read here.
_TABLES = (
    "SELECT lower(name) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
)
_COLUMNS = 'SELECT lower(name), upper(type), "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(?)'
_INDEXES = "SELECT lower(name), sql FROM sqlite_schema WHERE type = 'index' AND lower(tbl_name) = ?"


def check_tables(connection: sqlite3.Connection, schema: int) -> Columns:
    """Return the columns of this schema. Raise UnsafeName for a table that differs from its migrations.

    SQLite reads `account` also from a column ACCOUNT, and from a computed one. So tables and indexes must be
    exactly ours: then a checked value is the value that is read later. Raises sqlite3.Error.
    """
    with closing(sqlite3.connect(":memory:")) as fresh:
        for statement in statements_up_to(schema):
            fresh.execute(statement)
        right = _shapes(fresh)
        columns = [(table, name) for table in right for name, *_ in fresh.execute(_COLUMNS, (table,))]
    found = _shapes(connection)
    for table in sorted(right.keys() | found.keys()):
        wrong = found.get(table, frozenset()) ^ right.get(table, frozenset())
        if wrong:
            name = ascii(min(str(part[0]) for part in wrong))[:100]
            raise UnsafeName(f"table {ascii(table)[:100]}, {name}: not as schema {schema} has it")
    return frozenset(columns)


def _shapes(database: sqlite3.Connection) -> dict[str, _Shape]:
    """Return the columns and indexes of each table."""
    return {
        table: frozenset([*database.execute(_COLUMNS, (table,)), *database.execute(_INDEXES, (table,))])
        for (table,) in database.execute(_TABLES).fetchall()
    }
