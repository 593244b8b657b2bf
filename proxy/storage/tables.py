"""The declaration of a table: its owner, its sealed columns, and how its rows are erased.

Each table is declared once, beside its rows. The vault, erasures, VACUUM, the change of the master key and
the check of a backup read these declarations. A feature that is switched off keeps its tables.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Literal, NamedTuple

import msgspec

from policies.usage_sides import By


class PathColumn(NamedTuple):
    """A column whose values become paths. `check` raises UnsafeName; without it, `DiskName` does.

    The value `unless` names no file, and is not checked.
    """

    name: str
    check: Callable[[Any], object] | None = None
    unless: str | None = None


class Erasable(NamedTuple):
    """How a row whose id begins with `prefix` is erased, in one commit with its tombstone.

    The SQL has the row's id as `:subject`. `digests` selects its recordings, and ends with its WHERE. If
    `only_if` is false, nothing is deleted. `hold` runs first and locks the row, so that no concurrent write
    can falsify `only_if` or add a recording. A row that `is_part` of another thing is also erased with it.
    """

    prefix: str
    digests: str
    deletes: tuple[str, ...]
    hold: str = ""
    only_if: str = ""
    is_part: bool = False


class Remains(NamedTuple):
    """Rows that only their feature deletes, after it has deleted a file or a provider's copy.

    While the SQL finds a row, the `step` of the erasure is not done. The erased id is its `:subject`.
    """

    step: Literal["files", "providers"]
    sql: str


class Table(NamedTuple):
    """A table. `key` names a row, and `owner` is SQL for its account. A `sealed` one has `wrapped`.

    `recordings` are its columns with digests of recordings. Deleted rows of a `personal` table must not stay
    in the database's files. `erased_with` runs in the commit of each tombstone, before rows are deleted. Its
    `:subject` is the erased id, its `:by_owner` is 1 if the account itself deletes, and it ends with its
    WHERE. `closed_with` runs in the commit that closes the account `:id`. `rotated_with` runs in the commit
    that replaces the key `:id` by `:new_id`, and that commit may be refused. Rows of the type `settles` are
    written with the end of a request. A row is deleted with the usage of the request in its column `request`.
    `sides` are names to sum usage by, each with SQL for a row of usage.
    """

    name: str
    key: tuple[str, ...] = ("id",)
    owner: str = "account"
    sealed: bool = False
    recordings: tuple[str, ...] = ()
    personal: bool = False
    paths: tuple[PathColumn, ...] = ()
    erasable: Erasable | None = None
    erased_with: tuple[str, ...] = ()
    remains: Remains | None = None
    closed_with: tuple[str, ...] = ()
    rotated_with: tuple[str, ...] = ()
    settles: type[msgspec.Struct] | None = None
    request: str = ""
    sides: tuple[tuple[By, str], ...] = ()


Tables = tuple[Table, ...]
"""A table comes before the tables that need it."""


@cache
def erasables(tables: Tables) -> tuple[tuple[Table, Erasable], ...]:
    return tuple((table, table.erasable) for table in tables if table.erasable is not None)


@cache
def wholes(tables: Tables) -> tuple[Table, ...]:
    return tuple(table for table, how in erasables(tables) if not how.is_part)


def erasable_of(tables: Tables, subject: str) -> Erasable | None:
    """Return how the thing with this id is erased, or None."""
    return next((how for _, how in erasables(tables) if subject.startswith(how.prefix)), None)
