"""All wrapped keys of the database: which master key each needs, and their replacement.

A wrapped key begins with the id of its master key, so its first twelve characters name the master key.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import msgspec

from proxy.storage.store import Row, Statement, Store
from proxy.storage.tables import Tables
from speech_engine.redacted import Redacted

PREFIX_CHARACTERS = 12

_PREFIX = f"substr(wrapped, 1, {PREFIX_CHARACTERS})"
_SEALED = "wrapped <> ''"


@cache
def count_by_master_sql(tables: Tables) -> str:
    """Return the SQL that counts the rows of each master key, for `sum_masters`."""
    return " UNION ALL ".join(
        f"SELECT {_PREFIX} AS prefix, count(*) AS number FROM {table.name} WHERE {_SEALED} GROUP BY {_PREFIX}"
        for table in tables
        if table.sealed
    )


class MasterUse(msgspec.Struct, frozen=True):
    """A master key by the prefix of what it wrapped, and the number of rows that depend on it."""

    prefix: str
    rows: int

    @property
    def id(self) -> str:
        return b64decode(self.prefix)[1:].hex()


class WrappedKey(Redacted, msgspec.Struct, frozen=True):
    """The wrapped key of one row. `row` has the values of the columns that name it."""

    table: str
    owner: str
    row: Mapping[str, str]
    wrapped: str


async def list_masters(store: Store) -> list[MasterUse]:
    """List the master keys that the database needs, the one with the most rows first."""
    return sum_masters(await store.read_long(count_by_master_sql(store.tables)))


def sum_masters(rows: Iterable[Row]) -> list[MasterUse]:
    """Sum the rows that `count_by_master_sql` gives."""
    uses: dict[str, int] = {}
    for row in rows:
        uses[row["prefix"]] = uses.get(row["prefix"], 0) + row["number"]
    return sorted((MasterUse(*each) for each in uses.items()), key=lambda use: -use.rows)


async def list_by_masters(store: Store, prefixes: Sequence[str], skip: int, limit: int) -> list[WrappedKey]:
    """List rows whose keys were wrapped by the master keys with these prefixes: `limit` rows after `skip`."""
    names = {f"prefix{number}": prefix for number, prefix in enumerate(prefixes)}
    found: list[WrappedKey] = []
    for table in store.tables if names else ():
        if not table.sealed:
            continue
        columns, room = ", ".join(table.key), skip + limit - len(found)
        sql = f"""
        SELECT {columns}, {table.owner} AS owner, wrapped FROM {table.name}
        WHERE {_PREFIX} IN (:{", :".join(names)}) ORDER BY {columns} LIMIT :room
        """
        found += [
            WrappedKey(table.name, row["owner"], {key: row[key] for key in table.key}, row["wrapped"])
            for row in await store.read_long(sql, {**names, "room": room})
        ]
    return found[skip:]


def replace_statement(key: WrappedKey, wrapped: str) -> Statement:
    """Return the statement that gives a row another wrapped key, if it still has the one that was read."""
    names = " AND ".join(f"{column} = :{column}" for column in key.row)
    sql = f"UPDATE {key.table} SET wrapped = :wrapped WHERE {names} AND wrapped = :before"
    return Statement(sql, {**key.row, "wrapped": wrapped, "before": key.wrapped})
