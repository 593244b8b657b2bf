"""Group commit, the synchronous half: many units in one SQLite transaction, one fsync for all of them.

The code runs in the writer's thread, without the event loop. `sqlite.py` calls it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence

from proxy.storage import store
from proxy.storage.settlements import End, Settlements
from proxy.storage.turns import MOST_SQLITE_S, log_if_long

_DUPLICATE_CODES = {sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY}


class SqliteBatches:
    """The batches of one connection, which no other thread uses."""

    def __init__(self, connection: sqlite3.Connection, settlements: Settlements) -> None:
        self._connection = connection
        self._settlements = settlements

    def commit(self, contents: Sequence[store.Content]) -> list[store.WriteOutcome]:
        """Commit the contents, and return one outcome for each, in order, after COMMIT has returned.

        If one of them fails, only that one is undone. If the transaction itself fails, everything in it has
        failed: the rows that it returned were never on disk.
        """
        try:
            return self._transaction(contents, self._write_all)
        except (sqlite3.Error, ValueError, OverflowError) as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
                return [_database_refused(error) for _ in contents]  # SQLite has waited long enough
        # One of the contents is refused, which is rare. Try again, with a savepoint for each.
        try:
            return self._transaction(contents, lambda each: [*map(self._write_one, each)])
        except sqlite3.Error as error:
            return [_database_refused(error) for _ in contents]

    def _transaction(
        self,
        contents: Sequence[store.Content],
        write: Callable[[Sequence[store.Content]], list[store.WriteOutcome]],
    ) -> list[store.WriteOutcome]:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            outcomes = write(contents)
            self._connection.execute("COMMIT")
        finally:
            # A COMMIT that failed leaves its transaction open, and the next BEGIN would fail with it.
            if self._connection.in_transaction:
                self._connection.rollback()
        return outcomes

    def _write_all(self, contents: Sequence[store.Content]) -> list[store.WriteOutcome]:
        """Write the settlements together, and each unit. Raises at the first fault."""
        self._settle([content for content in contents if isinstance(content, End)])
        return [self._write_unit(content) if isinstance(content, tuple) else [] for content in contents]

    def _write_unit(self, unit: tuple[store.Statement, ...]) -> list[list[store.Row]]:
        before, laps, answers = self._connection.total_changes, [time.thread_time()], []
        for statement in unit:
            answers.append(_fetch(self._connection, statement))
            laps.append(time.thread_time())
        log_if_long((each.sql for each in unit), laps, MOST_SQLITE_S, self._connection.total_changes - before)
        return answers

    def _write_one(self, content: store.Content) -> store.WriteOutcome:
        self._connection.execute("SAVEPOINT unit")
        outcome: store.WriteOutcome
        try:
            (outcome,) = self._write_all([content])
        except (sqlite3.Error, ValueError, OverflowError) as error:
            # If the disk is full, SQLite rolls back the whole transaction with its savepoints. To go on would
            # commit the rest of the batch statement by statement.
            if not self._connection.in_transaction:
                raise
            self._connection.execute("ROLLBACK TO unit")
            outcome = _store_failure(error)
        self._connection.execute("RELEASE unit")
        return outcome

    def _settle(self, ends: Sequence[End]) -> None:
        if not ends:
            return
        for sql, rows in zip(self._settlements.inserts, self._settlements.rows_of(ends), strict=True):
            if rows:
                for row in rows:
                    _check_text(row)
                self._connection.executemany(sql, rows)


def query(connection: sqlite3.Connection, statement: store.Statement) -> list[store.Row] | store.Refusal:
    """Run a read, outside the writer's transactions."""
    try:
        return _fetch(connection, statement)
    except (sqlite3.Error, ValueError, OverflowError) as error:
        return _store_failure(error)


def _fetch(connection: sqlite3.Connection, statement: store.Statement) -> list[store.Row]:
    _check_text(statement.params.values())
    cursor = connection.execute(statement.sql, statement.params)
    if cursor.description is None:
        return []
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, values, strict=True)) for values in cursor]


def _check_text(values: Iterable[store.Value]) -> None:
    """Raise ValueError if a text has a NUL. SQLite could store it, but rows may be moved to PostgreSQL, which
    cannot."""
    for value in values:
        if value.__class__ is str and "\0" in value:
            raise ValueError


def _store_failure(error: sqlite3.Error | ValueError | OverflowError) -> store.Refusal:
    """Return the store's failure for an error. SQLite's messages name tables and columns, never values."""
    if not isinstance(error, sqlite3.Error):
        # Neither the message nor the error is passed on: Python quotes the text that it cannot encode.
        return store.StorageFailed(store.UNSTORABLE)
    code = getattr(error, "sqlite_errorcode", None)
    failure: store.Refusal
    if code in _DUPLICATE_CODES:
        failure = store.AlreadyExists(str(error))
    elif code == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
        failure = store.MissingReference(str(error))
    else:
        return _database_refused(error)
    failure.__cause__ = error
    return failure


def _database_refused(error: Exception) -> store.StorageFailed:
    failure = store.StorageFailed(f"the database refused: {error}")
    failure.__cause__ = error
    return failure
