"""What the rest of the server must know of a table, said once where the table is.

What works over all tables looks here: the vault which recordings are named, the change of the master key
what is sealed, the erasure which rows have an owner, VACUUM what must leave the files, and the check of a
backup what becomes a path. A feature that is switched off keeps its tables.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Literal, NamedTuple

import msgspec

from policies.usage_sides import By
from proxy.storage.disk_names import DiskName, UnsafeName, account_name, owner_name
from proxy.storage.rows import decode_json


class PathColumn(NamedTuple):
    """A column whose values become paths. `check` raises UnsafeName; `unless` is a value of no meaning."""

    name: str
    check: Callable[[Any], object] = DiskName
    unless: str | None = None


class Erasable(NamedTuple):
    """How a row goes for good, whose id begins with `prefix`: all in one commit with its tombstone.

    The SQL has the row's id as `:subject`. `digests` selects its recordings, and ends with its WHERE. With
    `only_if`, nothing is deleted unless that is true. `hold` comes first, and lets writes wait that would
    make it untrue, or that would add a recording. What `is_part` of another thing goes with that, too.
    """

    prefix: str
    digests: str
    deletes: tuple[str, ...]
    hold: str = ""
    only_if: str = ""
    is_part: bool = False


class Remains(NamedTuple):
    """Rows of what is erased that only their feature takes away, with what they stand for elsewhere.

    The `step` of the erasure is not done while the SQL finds one. It has the id of what is erased as
    `:subject`.
    """

    step: Literal["files", "providers"]
    sql: str


class Table(NamedTuple):
    """A table. `key` names a row, and `owner` is SQL for its account. If it is `sealed`, it has `wrapped`.

    `recordings` are the columns with digests of recordings that it needs. What was deleted in a `personal`
    table must not stay in the database's files. `erased_with` runs in the commit of each tombstone, before
    the rows go: it has the id of what is erased as `:subject`, 1 as `:by_owner` if its account deletes it,
    and ends with its WHERE. `closed_with` runs in the commit that closes the account `:id`, `rotated_with` in
    the one that replaces the key `:id` by `:new_id`, which may have been refused. Rows of the type that it
    `settles` are written with the end of a request. A row goes with the usage of the request that its column
    `request` names. `sides` are what usage is summed by in it: names, and SQL for a row of usage.
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
"""Of things that need one another, the one that is needed comes first."""


def _each_digest(text: object) -> None:
    try:
        digests = decode_json(text) if isinstance(text, str) else None
    except ValueError:
        digests = None
    if not isinstance(digests, list):
        raise UnsafeName(f"{ascii(text)[:100]} is no list of digests")
    for digest in digests:
        DiskName(digest)


KERNEL_TABLES: Tables = (
    *(Table(name) for name in ("schema_version", "entries", "balances", "holds", "usage", "costs")),
    *(Table(name) for name in ("installation", "clone_counts", "refusals", "library_revisions")),
    Table("accounts", paths=(PathColumn("id", account_name),)),
    Table("keys", paths=(PathColumn("account", account_name),)),
    Table("audit", personal=True),
    Table(
        "account_keys",
        key=("account",),
        sealed=True,
        personal=True,
        paths=(PathColumn("account", owner_name),),
    ),
    Table(
        "blobs",
        key=("account", "digest"),
        sealed=True,
        personal=True,
        paths=(PathColumn("account", owner_name), PathColumn("digest")),
    ),
    Table(
        "samples",
        key=("voice", "number", "id"),
        sealed=True,
        recordings=("digest",),
        personal=True,
        paths=(PathColumn("account", owner_name), PathColumn("digest")),
        erasable=Erasable(
            "clip_",
            "SELECT digest FROM samples WHERE id = :subject AND id <> ''",
            ("DELETE FROM samples WHERE id = :subject AND id <> ''",),
            is_part=True,
        ),
    ),
    Table(
        "trained_models",
        recordings=("digest",),
        personal=True,
        paths=(PathColumn("account", owner_name), PathColumn("digest")),
    ),
    Table("introductions", key=("engine",)),
    Table("former_models", key=("voice", "digest"), paths=(PathColumn("digest"),)),
    Table("erasures", paths=(PathColumn("account", owner_name), PathColumn("digests", _each_digest))),
)


@cache
def erasables(tables: Tables) -> tuple[tuple[Table, Erasable], ...]:
    """Return the tables with rows that can be erased."""
    return tuple((table, table.erasable) for table in tables if table.erasable is not None)


@cache
def wholes(tables: Tables) -> tuple[Table, ...]:
    """Return the tables with rows that can be erased, without those that are parts of others."""
    return tuple(table for table, how in erasables(tables) if not how.is_part)


def erasable_of(tables: Tables, subject: str) -> Erasable | None:
    """Return how something is erased that has this id."""
    return next((how for _, how in erasables(tables) if subject.startswith(how.prefix)), None)
