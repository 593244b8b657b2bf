"""The store over one SQLite file: two reading connections, and one writer thread that commits in groups.

Durable by default (WAL, synchronous=FULL): an answered write survives the power cut after it. One process
only: several writers would starve each other, so several workers need PostgreSQL.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, closing
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, Self, TypeVar

import aiosqlite
import structlog

from proxy.storage import store
from proxy.storage.batch_writer import BatchWriter, SharedRun, write_unit
from proxy.storage.settlements import Settlements, settlements_of
from proxy.storage.sqlite_batch import SqliteBatches, query
from proxy.storage.tables import Tables
from proxy.telemetry.background import without_values

_BUSY_TIMEOUT_MS = 5000
_LOG_TIMEOUT_MS = 100

_log = structlog.get_logger()
_T = TypeVar("_T")


class _CommitThread:
    """The thread that commits batches over a connection of its own, and calls `on_commit`. It wakes the event
    loop once for each batch. In aiosqlite, the change of threads costs more than the rows of a settlement.
    """

    def __init__(self, connection: sqlite3.Connection, settlements: Settlements) -> None:
        self.connection = connection
        self._committing = SqliteBatches(connection, settlements)
        self.on_commit: Callable[[float], None] = lambda _: None
        self._fault: Exception | None = None
        self.commits = 0
        self.units = 0
        self.is_stopped = False
        self._loop = asyncio.get_running_loop()
        self._stopped = self._loop.create_future()
        self._queue: SimpleQueue[list[store.Content] | None] = SimpleQueue()
        self.batches = BatchWriter(self._queue_batch)
        Thread(target=self._run, name="storage writer", daemon=True).start()

    async def stop(self) -> None:
        await self.batches.drain()
        self._queue.put(None)
        await asyncio.wait([self._stopped])

    def _queue_batch(self, contents: list[store.Content]) -> None:
        self._queue.put(contents)

    def _run(self) -> None:
        try:
            while (contents := self._queue.get()) is not None:
                began = time.perf_counter()
                outcomes = self._committing.commit(contents)
                self.on_commit(time.perf_counter() - began)
                self._loop.call_soon_threadsafe(self._answer_batch, outcomes)
        except Exception as error:  # noqa: BLE001 - the seam at the top of the writer's thread: every caller gets it
            _log.error("storage.writer.failed", exc_info=without_values(error))
            self._fault = error
        finally:
            self._loop.call_soon_threadsafe(self._end)

    def _answer_batch(self, outcomes: list[store.WriteOutcome]) -> None:
        # The outcome of a written unit is the list of its rows, and that of any other is an exception.
        written = [*map(type, outcomes)].count(list)
        self.units += written
        self.commits += written > 0
        self.batches.answer_batch(outcomes)

    def _end(self) -> None:
        self.is_stopped = True
        self.batches.refuse_all(self._fault)
        if not self._stopped.done():
            self._stopped.set_result(None)


class SqliteStore:
    """Use `SqliteStore.open`. `commits` and `units` count its writes."""

    is_shared = False

    def __init__(
        self,
        path: Path,
        writer: sqlite3.Connection,
        reader: aiosqlite.Connection,
        long_reader: aiosqlite.Connection,
        tables: Tables,
    ) -> None:
        self.tables = tables
        self._path = path
        self._commit_thread = _CommitThread(writer, settlements_of(tables))
        self._reader = reader
        self._long_reader = long_reader
        self._is_closed = False
        # Two checkpoints at the same time would block each other.
        self._emptying = SharedRun(lambda: asyncio.to_thread(_empty_log, path))

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else f"{len(self._commit_thread.batches)} waiting"
        return f"<SqliteStore {self._path.name}, {self.units} units in {self.commits} commits, {state}>"

    @property
    def commits(self) -> int:
        return self._commit_thread.commits

    @property
    def units(self) -> int:
        return self._commit_thread.units

    @classmethod
    async def open(cls, path: Path, tables: Tables = ()) -> Self:
        """Create the file if there is none. Only its owner may read it: it has the customers' records."""
        _create(path)
        # A connection left open keeps its thread, and with it the process, alive.
        async with AsyncExitStack() as opened:
            writer = await asyncio.to_thread(_connect_writer, path)
            opened.callback(writer.close)
            readers = []
            for _ in range(2):
                reader = await _connect_reader(path)
                opened.push_async_callback(reader.close)
                readers.append(reader)
            opened.pop_all()
        return cls(path, writer, readers[0], readers[1], tables)

    def watch_commits(self, on_commit: Callable[[float], None]) -> None:
        self._commit_thread.on_commit = on_commit

    async def now(self) -> int:
        return time.time_ns() // 1000

    async def read(self, sql: str, params: store.Params | None = None) -> list[store.Row]:
        return await self._read(self._reader, store.Statement(sql, params or {}))

    async def read_long(self, sql: str, params: store.Params | None = None) -> list[store.Row]:
        return await self._read(self._long_reader, store.Statement(sql, params or {}))

    async def write(self, *statements: store.Statement) -> list[list[store.Row]]:
        self._check_open()
        return await write_unit(self, statements)

    def submit(self, item: store.BatchItem) -> None:
        if self._is_closed or self._commit_thread.is_stopped:
            item.answer(item.content, store.StorageFailed("the store is closed"))
        else:
            self._commit_thread.batches.add(item)

    async def find_damage(self) -> str:
        (row,) = await self.read_long("PRAGMA quick_check(1)")
        verdict = str(row["quick_check"])
        return "" if verdict == "ok" else verdict.splitlines()[0]

    async def forget_deleted(self) -> bool:
        """Empty the write-ahead log, which still has deleted rows. Return False while readers use it."""
        self._check_open()
        return await self._emptying.run()

    async def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        try:
            await self._commit_thread.stop()
        finally:
            # The writer is closed last: the last connection writes the write-ahead log into the database.
            async with AsyncExitStack() as closing:
                closing.push_async_callback(self._close_writer)
                for connection in (self._reader, self._long_reader):
                    closing.push_async_callback(connection.close)

    async def _read(self, connection: aiosqlite.Connection, statement: store.Statement) -> list[store.Row]:
        self._check_open()
        outcome = await _in_thread(connection, partial(query, statement=statement))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def _close_writer(self) -> None:
        # When the close was cancelled, the thread may still be writing.
        await self._commit_thread.stop()
        await asyncio.to_thread(self._commit_thread.connection.close)

    def _check_open(self) -> None:
        if self._is_closed or self._commit_thread.is_stopped:
            raise store.StorageFailed("the store is closed")


def _create(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError as error:
        raise store.StorageFailed(f"cannot create {path}: {error.strerror}") from error


def _connect_writer(path: Path) -> sqlite3.Connection:
    try:
        # One thread at a time uses it: the one that opens it, then the writer, then the one that closes it.
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise store.StorageFailed(f"cannot open {path}: {error}") from error
    try:
        _prepare_writer(connection)
    except sqlite3.Error as error:
        connection.close()
        raise store.StorageFailed(f"cannot use {path}: {error}") from error
    return connection


async def _connect_reader(path: Path) -> aiosqlite.Connection:
    try:
        connection = await aiosqlite.connect(path, isolation_level=None)
    except sqlite3.Error as error:
        raise store.StorageFailed(f"cannot open {path}: {error}") from error
    try:
        await _in_thread(connection, _prepare_reader)
    except BaseException as error:
        await connection.close()
        if isinstance(error, sqlite3.Error):
            raise store.StorageFailed(f"cannot use {path}: {error}") from error
        raise
    return connection


def _prepare_writer(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise sqlite3.OperationalError("no write-ahead log here; the data folder must be on a local disk")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    _delete_for_good(connection)


def _empty_log(path: Path) -> bool:
    # This uses its own connection, so that the writer's thread does not wait for a reader. Writes wait for
    # it, so its timeout is short.
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute(f"PRAGMA busy_timeout = {_LOG_TIMEOUT_MS}")
            busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error as error:
        raise store.StorageFailed(f"the database refused: {error}") from error
    return not busy


def _delete_for_good(connection: sqlite3.Connection) -> None:
    """Let deleted rows be overwritten with zeros. The default depends on how SQLite was built."""
    (is_on,) = connection.execute("PRAGMA secure_delete = ON").fetchone()
    if is_on != 1:
        raise sqlite3.OperationalError("this SQLite cannot overwrite what is deleted (secure_delete)")


def _prepare_reader(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    _delete_for_good(connection)
    connection.execute("PRAGMA query_only = ON")


async def _in_thread(connection: aiosqlite.Connection, work: Callable[[sqlite3.Connection], _T]) -> _T:
    """Run `work` in the connection's own thread, with one change of threads.

    The public methods of aiosqlite change threads for each statement, which costs more than the statement.
    They would also log the parameters at debug level.
    """
    run: Any = connection._execute  # noqa: SLF001
    result: _T = await run(work, connection._conn)  # noqa: SLF001
    return result
