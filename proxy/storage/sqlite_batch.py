"""Group commit, the synchronous half: many units in one SQLite transaction, one fsync for all of them.

The code runs in the writer connection's thread, without the event loop. `sqlite.py` calls it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from proxy.storage.store import (
    UNSTORABLE,
    AlreadyExists,
    MissingReference,
    Refusal,
    Row,
    Statement,
    StorageFailed,
)

Unit = tuple[Statement, ...]
Outcome = list[list[Row]] | Refusal

_DUPLICATE = {sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY}


def commit(connection: sqlite3.Connection, units: Sequence[Unit]) -> list[Outcome]:
    """Commit the units, and return one outcome for each, in order, after COMMIT has returned.

    If a unit fails, only that unit is undone. If the transaction itself fails, every unit in it has failed:
    the rows that they returned were never on disk.
    """
    try:
        return _transaction(connection, units, _fetch_all)
    except (sqlite3.Error, ValueError, OverflowError) as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
            return [_refused(error) for _ in units]  # SQLite has waited long enough
    # One unit is to blame, which is rare. Try again, with a savepoint for each unit.
    try:
        return _transaction(connection, units, _run)
    except sqlite3.Error as error:
        return [_refused(error) for _ in units]


def _transaction(
    connection: sqlite3.Connection,
    units: Sequence[Unit],
    run: Callable[[sqlite3.Connection, Unit], Outcome],
) -> list[Outcome]:
    try:
        connection.execute("BEGIN IMMEDIATE")
        outcomes = [run(connection, unit) for unit in units]
        connection.execute("COMMIT")
    finally:
        # A COMMIT that failed leaves its transaction open, and the next BEGIN would fail with it.
        if connection.in_transaction:
            connection.rollback()
    return outcomes


def _fetch_all(connection: sqlite3.Connection, unit: Unit) -> list[list[Row]]:
    return [_fetch(connection, statement) for statement in unit]


def _run(connection: sqlite3.Connection, unit: Unit) -> Outcome:
    connection.execute("SAVEPOINT unit")
    outcome: Outcome
    try:
        outcome = _fetch_all(connection, unit)
    except (sqlite3.Error, ValueError, OverflowError) as error:
        # If the disk is full, SQLite rolls back the whole transaction with its savepoints. To go on would
        # commit the rest of the batch statement by statement.
        if not connection.in_transaction:
            raise
        connection.execute("ROLLBACK TO unit")
        outcome = _refusal(error)
    connection.execute("RELEASE unit")
    return outcome


def query(connection: sqlite3.Connection, statement: Statement) -> list[Row] | Refusal:
    """Run a read, outside the writer's transactions."""
    try:
        return _fetch(connection, statement)
    except (sqlite3.Error, ValueError, OverflowError) as error:
        return _refusal(error)


def _fetch(connection: sqlite3.Connection, statement: Statement) -> list[Row]:
    if any(isinstance(value, str) and "\0" in value for value in statement.params.values()):
        # SQLite could store this, and PostgreSQL cannot. Rows must be able to move between them.
        raise ValueError
    cursor = connection.execute(statement.sql, statement.params)
    if cursor.description is None:
        return []
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, values, strict=True)) for values in cursor]


def _refusal(error: sqlite3.Error | ValueError | OverflowError) -> Refusal:
    """Return the store's failure for an error. SQLite's messages name tables and columns, never values."""
    if not isinstance(error, sqlite3.Error):
        # Without its message and the error itself: Python quotes the text that it cannot encode.
        return StorageFailed(UNSTORABLE)
    code = getattr(error, "sqlite_errorcode", None)
    failure: Refusal
    if code in _DUPLICATE:
        failure = AlreadyExists(str(error))
    elif code == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
        failure = MissingReference(str(error))
    else:
        return _refused(error)
    failure.__cause__ = error
    return failure


def _refused(error: Exception) -> StorageFailed:
    failure = StorageFailed(f"the database refused: {error}")
    failure.__cause__ = error
    return failure
