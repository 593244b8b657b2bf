"""The declaration of a table: its key, its encrypted columns, and the statements for its rows in other
commits.

Each table is declared once, by the kernel or its feature. The vault, erasures, VACUUM, the change of the
master key and the check of a backup read these declarations. A feature that is switched off keeps its tables.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Literal, NamedTuple

import msgspec

from policies.usage_sides import Dimension


class PathColumn(NamedTuple):
    """A column whose values are used in paths of files, so a backup with an unsafe value is refused.

    `check` raises UnsafeName for such a value; the default check is `DiskName`. The value `unless` means that
    the row has no file, and is not checked.
    """

    name: str
    check: Callable[[Any], object] | None = None
    unless: str | None = None


class Erasable(NamedTuple):
    """The erasure of a row whose id begins with `prefix`. It is in one commit with the row's tombstone.

    The parameter `:subject` of the SQL is the row's id. `digests` selects the row's recordings. Conditions
    are appended to it, so it must end with its WHERE. If `only_if` is false, the erasure is refused. `lock`
    runs first and locks the row, so that no concurrent write can change `only_if` or add a recording. A row
    that `is_part` of another row is also erased with that row.
    """

    prefix: str
    digests: str
    deletes: tuple[str, ...]
    lock: str = ""
    only_if: str = ""
    is_part: bool = False


class Remains(NamedTuple):
    """Rows that stay after an erasure until their feature has deleted a file or a provider's copy.

    The `step` of the erasure is done when the SQL finds no row. Its parameter `:subject` is the erased id.
    """

    step: Literal["files", "providers"]
    sql: str


class Table(NamedTuple):
    """The declaration of one table."""

    name: str
    key: tuple[str, ...] = ("id",)
    """The columns that identify a row."""
    owner: str = "account"
    """SQL for the account of a row."""
    sealed: bool = False
    """Whether rows have encrypted columns. The table then has a column `wrapped` for the key of each row."""
    recordings: tuple[str, ...] = ()
    """The columns with digests of blobs. A blob without such a row is deleted."""
    personal: bool = False
    """Whether deleted rows must also vanish from the files of the database."""
    paths: tuple[PathColumn, ...] = ()
    erasable: Erasable | None = None
    erased_with: tuple[str, ...] = ()
    """Statements in the commit of each tombstone. They run before rows are deleted. The parameter `:subject`
    is the erased id, and `:by_owner` is 1 if the account itself deletes. Each must end with its WHERE."""
    remains: Remains | None = None
    closed_with: tuple[str, ...] = ()
    """Statements in the commit that closes the account `:id`."""
    replanned_with: tuple[str, ...] = ()
    """Statements in the commit in which an operator changes the plan of `:account`, at the moment `:at`. Each
    must end with its WHERE."""
    restored_with: tuple[str, ...] = ()
    """Statements on a database that was restored from a backup. They have no parameters."""
    rotated_with: tuple[str, ...] = ()
    """Statements in the commit that replaces the key `:id` by `:new_id`. That commit may be refused."""
    settles: type[msgspec.Struct] | None = None
    """The type of the rows that are written in the commit that settles a request."""
    settles_over: str = ""
    """The `ON CONFLICT` of these rows, if the feature may have written a row of the request before."""
    request: str = ""
    """The column with the id of a request. A row is deleted with the usage of this request."""
    needs_plans: str = ""
    """A query for the `plan` of each row that needs this plan to stay in the configuration."""
    checks: tuple[tuple[str, str], ...] = ()
    """Checks of `voxgate ledger verify`: a name, and SQL for `subject` and `found` of wrong rows after the id
    `:after` and up to `:upto`."""
    sides: tuple[tuple[Dimension, str], ...] = ()
    """Dimensions by which this table lets usage be summed, each with SQL for its value in a row of usage."""


Tables = tuple[Table, ...]
"""A table comes before the tables that refer to it."""


@cache
def erasable_tables(tables: Tables) -> tuple[tuple[Table, Erasable], ...]:
    """Return the tables whose rows can be erased."""
    return tuple((table, table.erasable) for table in tables if table.erasable is not None)


@cache
def whole_tables(tables: Tables) -> tuple[Table, ...]:
    """Return the tables whose rows can be erased and are no part of other rows."""
    return tuple(table for table, erasable in erasable_tables(tables) if not erasable.is_part)


def find_erasable(tables: Tables, subject: str) -> Erasable | None:
    """Return the erasure of the row with this id. Return None if it cannot be erased."""
    return next(
        (erasable for _, erasable in erasable_tables(tables) if subject.startswith(erasable.prefix)), None
    )
