"""The tables that a backup of a schema has: those that its migrations make, and no others.

SQLite reads `account` from a column ACCOUNT too, and from one that is computed. So what was checked is what
will be read only where the tables are our own, down to their indexes.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing

from proxy.storage.disk_names import UnsafeName
from proxy.storage.schema import statements_up_to

Columns = frozenset[tuple[str, str]]
"""Table and column of each."""

_Shape = frozenset[tuple[object, ...]]

# SQLite's own, such as its statistics, are not read here.
_TABLES = (
    "SELECT lower(name) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
)
_COLUMNS = 'SELECT lower(name), upper(type), "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(?)'
_INDEXES = "SELECT lower(name), sql FROM sqlite_schema WHERE type = 'index' AND lower(tbl_name) = ?"


def check(connection: sqlite3.Connection, schema: int) -> Columns:
    """Return the columns of this schema. Raise UnsafeName for a database that has others, by their table.

    Raises sqlite3.Error.
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
