"""Copies of an SQLite database: a backup beside a live server, and a restore where none runs.

SQLite's backup API reads one consistent moment, also while a server writes. A copy of the file would lack the
newest commits, which are in the write-ahead log.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import quote

import msgspec

from proxy.storage.disk_names import DiskName, UnsafeName, flush
from proxy.storage.schema import known_migrations, statements_up_to
from proxy.storage.store import StorageFailed
from proxy.storage.tables import PathColumn, Tables

DATABASE = "voxgate.db"
REPLACED_DATABASE = "voxgate.db.before"
"""The database that a restore has replaced."""

_SUFFIXES = ("", "-wal", "-shm", "-journal")
"""The suffixes of SQLite's own files beside a database."""

_MAGIC = b"SQLite format 3\0"
_BUSY_S = 30.0
_VERSION = "SELECT coalesce(max(version), 0) FROM schema_version"


class BackupCopy(msgspec.Struct, frozen=True):
    """A finished copy. Its pages were checked."""

    file: str
    bytes: int
    schema: int


def back_up(database: Path, target: Path) -> BackupCopy:
    """Copy a database to a file, in place of an older backup. Raise StorageFailed, and keep the older one.

    Only a backup is replaced: never another file, and no file of the database itself.
    """
    temporary = temporary_path(target)
    try:
        check_target(database, target)
        schema = _copy(database, "rw", temporary)
        move_into_place(temporary, target)
    except OSError as error:
        raise StorageFailed(f"{target} cannot be written: {error.strerror}") from None
    finally:
        remove_if_there(temporary)
    return BackupCopy(str(target), target.stat().st_size, schema)


def restore(backup: Path, folder: Path, tables: Tables) -> BackupCopy:
    """Put a backup in the place of the database of a data folder, and keep the old database as
    `REPLACED_DATABASE`.

    No other process may use the folder. Raises StorageFailed, and changes nothing, if the backup is damaged,
    of a newer version, no backup at all, or if a row of it names a file outside the data folder.
    """
    with open_checked_copy(backup, folder, tables) as copy:
        return copy.install()


class RefusedBackup(StorageFailed):
    """A backup that is damaged, or differs from what voxgate writes."""


class CheckedCopy(NamedTuple):
    """A checked copy of a backup, beside the database that it may replace."""

    temporary: Path
    database: Path
    schema: int

    def install(self) -> BackupCopy:
        """Replace the database by the copy. Raises StorageFailed."""
        try:
            _set_aside(self.database.parent)
            move_into_place(self.temporary, self.database)
        except OSError as error:
            raise _unwritable(self.database, error) from None
        return BackupCopy(str(self.database), self.database.stat().st_size, self.schema)


@contextmanager
def open_checked_copy(backup: Path, folder: Path, tables: Tables) -> Iterator[CheckedCopy]:
    """Copy and check a backup, and change nothing yet. Raises StorageFailed."""
    database = folder / DATABASE
    temporary = temporary_path(database)
    try:
        schema = _copy(backup, "ro", temporary)
        newest = len(known_migrations())
        if schema > newest:
            raise StorageFailed(
                f"{backup} has schema {schema}, and this voxgate knows schemas up to {newest}; "
                "install the newer voxgate first"
            )
        _check_rows(backup, temporary, schema, tables)
        _apply_restored_with(temporary, tables)
        owner = folder.stat()
        if os.geteuid() != owner.st_uid:
            os.chown(temporary, owner.st_uid, owner.st_gid)  # root may restore for the server's user
        yield CheckedCopy(temporary, database, schema)
    except OSError as error:
        raise _unwritable(database, error) from None
    finally:
        remove_if_there(temporary)


def _unwritable(database: Path, error: OSError) -> StorageFailed:
    return StorageFailed(f"{database} cannot be written: {error.strerror}")


def _check_rows(backup: Path, temporary: Path, schema: int, tables: Tables) -> None:
    try:
        with closing(_open(temporary, "ro")) as copy:
            check_backup(copy, schema, tables)
            # `quick_check` compares no index with its table, and a value that is read may come from either.
            (verdict,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
            if verdict != "ok":
                raise RefusedBackup(f"it is damaged: {verdict.splitlines()[0]}")
    except RefusedBackup as refused:
        raise RefusedBackup(f"{backup} is refused, and nothing was changed: {refused}") from None
    except sqlite3.Error as error:
        raise StorageFailed(f"{backup} cannot be read: {error}") from None


def _apply_restored_with(temporary: Path, tables: Tables) -> None:
    """Run the statements of `Table.restored_with` on the copy of a backup. An older one has fewer tables."""
    with closing(_open(temporary, "rw")) as copy, copy:
        copy.execute("PRAGMA secure_delete = ON")
        has = {name for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for sql in [sql for table in tables if table.name in has for sql in table.restored_with]:
            copy.execute(sql)


def _copy(source: Path, mode: Literal["ro", "rw"], temporary: Path) -> int:
    """Copy a database into a new file, check the copy, and return its schema. Raise StorageFailed."""
    # The file is created here, readable only for its owner. SQLite would let others read it.
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(_open(source, mode)) as original, closing(_open(temporary, "rw")) as copy:
            # It copies in one step: with several, each commit of the server would restart the copy.
            original.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            (verdict,) = copy.execute("PRAGMA quick_check(1)").fetchone()
            (schema,) = copy.execute(_VERSION).fetchone()
    except sqlite3.Error as error:
        why = "it is no database of voxgate" if "schema_version" in str(error) else str(error)
        raise StorageFailed(f"{source} cannot be copied: {why}") from None
    if verdict != "ok":
        raise StorageFailed(f"{source} is damaged: {verdict.splitlines()[0]}")
    if not isinstance(schema, int) or schema < 0:
        raise StorageFailed(f"{source} has no number of a schema: {ascii(schema)[:100]}")
    return schema


def _open(file: Path, mode: Literal["ro", "rw"]) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(file.absolute()))}?mode={mode}", uri=True, timeout=_BUSY_S)


def check_target(database: Path, target: Path, magic: bytes = _MAGIC) -> None:
    """Raise StorageFailed unless the target is absent, empty, or begins with `magic`. Raises OSError."""
    used = {"lock", *(f"{name}{end}" for name in (database.name, REPLACED_DATABASE) for end in _SUFFIXES)}
    if target.name in used and target.parent.samefile(database.parent):
        raise StorageFailed(f"{target} belongs to the data folder; give the backup another name")
    if not target.exists():
        return
    if database.exists() and target.samefile(database):
        raise StorageFailed(f"{target} is the database itself; give the backup another name")
    with target.open("rb") as file:
        start = file.read(len(magic))
    if start not in (b"", magic):
        raise StorageFailed(f"{target} is no backup, and is not replaced; give the backup another name")


def remove_if_there(temporary: Path) -> None:
    with suppress(OSError):  # it has its final name, or was never made
        temporary.unlink()


def temporary_path(target: Path) -> Path:
    return target.with_name(f".{target.name}.{os.getpid()}")


def _set_aside(folder: Path) -> None:
    """Rename the old database and its log, which SQLite would otherwise apply to the restored database."""
    database, replaced = folder / DATABASE, folder / REPLACED_DATABASE
    for end in _SUFFIXES:
        replaced.with_name(f"{REPLACED_DATABASE}{end}").unlink(missing_ok=True)
    if database.exists():
        # A link keeps the old name: after a kill at this point, a server must not find an empty folder.
        os.link(database, replaced)
    for end in ("-wal", "-shm"):
        log = database.with_name(f"{DATABASE}{end}")
        if log.exists():
            log.rename(replaced.with_name(f"{REPLACED_DATABASE}{end}"))


def move_into_place(temporary: Path, target: Path) -> None:
    """Give the copy its name, and wait until the copy and the name are on the disk."""
    flush(temporary)
    temporary.replace(target)
    flush(target.parent)


# Triggers, views and virtual tables have no page of their own. Our databases have none of them in any
# version. With them, a row could change after it was checked.
_PAGELESS = "SELECT type, name FROM sqlite_schema WHERE coalesce(rootpage, 0) = 0 LIMIT 1"


def check_backup(connection: sqlite3.Connection, schema: int, tables: Tables) -> None:
    """Raise RefusedBackup, with table and row, for the first value that must not become a path.

    The tables must be exactly those of the schema. Columns that an older schema lacks are skipped. Raises
    sqlite3.Error.
    """
    if (pageless := connection.execute(_PAGELESS).fetchone()) is not None:
        kind, name = pageless
        raise RefusedBackup(f"it has the {kind} {ascii(name)[:100]}, and no backup of voxgate has one")
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
            raise RefusedBackup(f"{where}: {unsafe}") from None


Columns = frozenset[tuple[str, str]]
"""Pairs of a table and one of its columns."""

_Shape = frozenset[tuple[object, ...]]

# SQLite's own tables, such as its statistics, are not read here.
_TABLES = (
    "SELECT lower(name) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
)
_COLUMNS = 'SELECT lower(name), upper(type), "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(?)'
_INDEXES = "SELECT lower(name), sql FROM sqlite_schema WHERE type = 'index' AND lower(tbl_name) = ?"


def check_tables(connection: sqlite3.Connection, schema: int) -> Columns:
    """Return the columns of this schema. Raise RefusedBackup for a table that differs from its migrations.

    SQLite reads `account` also from a column ACCOUNT, or from a computed column. So tables and indexes must
    be exactly ours, or a value that is read later may not be the one that was checked. Raises sqlite3.Error.
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
            name = ascii(min(str(row[0]) for row in wrong))[:100]
            raise RefusedBackup(f"table {ascii(table)[:100]}, {name}: not as schema {schema} has it")
    return frozenset(columns)


def _shapes(database: sqlite3.Connection) -> dict[str, _Shape]:
    return {
        table: frozenset([*database.execute(_COLUMNS, (table,)), *database.execute(_INDEXES, (table,))])
        for (table,) in database.execute(_TABLES).fetchall()
    }
