"""The store over one SQLite file: two reading connections, and one writer task that commits in groups.

Durable by default (WAL, synchronous=FULL): an answered write survives the power cut after it. One process
only; several writers starve each other, which is why several workers ask for PostgreSQL.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import aiosqlite

from proxy.storage.sqlite_batch import Outcome, Unit, commit, query
from proxy.storage.store import Params, Refusal, Row, Statement, StorageFailed

UNITS_A_COMMIT = 256
_BUSY_TIMEOUT_MS = 5000

_T = TypeVar("_T")


class _Pending(NamedTuple):
    unit: Unit
    answer: asyncio.Future[Outcome]


class SqliteStore:
    """Use `SqliteStore.open`. `commits` and `units` count what was written, for metrics."""

    is_shared = False

    def __init__(
        self,
        path: Path,
        writer: aiosqlite.Connection,
        reader: aiosqlite.Connection,
        long_reader: aiosqlite.Connection,
    ) -> None:
        self.commits = 0
        self.units = 0
        self._path = path
        self._writer = writer
        self._reader = reader
        self._long_reader = long_reader
        self._is_closed = False
        self._queue: asyncio.Queue[_Pending | None] = asyncio.Queue()
        self._batch: list[_Pending] = []
        self._writing = asyncio.create_task(self._write_batches(), name="storage writer")
        self._writing.add_done_callback(self._refuse_the_rest)

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else f"{self._queue.qsize()} waiting"
        return f"<SqliteStore {self._path.name}, {self.units} units in {self.commits} commits, {state}>"

    @classmethod
    async def open(cls, path: Path) -> SqliteStore:
        """Create the file if there is none. Only its owner may read it: it has the customers' records."""
        _create(path)
        connections = []
        # A connection left open keeps its thread, and with it the process, alive.
        async with AsyncExitStack() as opened:
            for prepare in (_as_writer, _as_reader, _as_reader):
                connection = await _connect(path, prepare)
                opened.push_async_callback(connection.close)
                connections.append(connection)
            opened.pop_all()
        return cls(path, *connections)

    async def now(self) -> int:
        return time.time_ns() // 1000

    async def read(self, sql: str, params: Params | None = None) -> list[Row]:
        return await self._read(self._reader, Statement(sql, params or {}))

    async def read_long(self, sql: str, params: Params | None = None) -> list[Row]:
        return await self._read(self._long_reader, Statement(sql, params or {}))

    async def write(self, *statements: Statement) -> list[list[Row]]:
        self._check_open()
        pending = _Pending(statements, asyncio.get_running_loop().create_future())
        self._queue.put_nowait(pending)
        return _rows(await pending.answer)

    async def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._queue.put_nowait(None)
        try:
            # Not awaited itself: a close that is cancelled must not cancel the writing with it.
            await asyncio.wait([self._writing])
        finally:
            # The writer is last: the last connection writes the write-ahead log back into the database.
            async with AsyncExitStack() as closing:
                for connection in (self._writer, self._reader, self._long_reader):
                    closing.push_async_callback(connection.close)

    async def _read(self, connection: aiosqlite.Connection, statement: Statement) -> list[Row]:
        self._check_open()
        return _rows(await _in_thread(connection, partial(query, statement=statement)))

    def _check_open(self) -> None:
        if self._is_closed or self._writing.done():
            raise StorageFailed("the store is closed")

    async def _write_batches(self) -> None:
        while await self._collect():
            units = [pending.unit for pending in self._batch]
            outcomes = await _in_thread(self._writer, partial(commit, units=units))
            written = sum(isinstance(outcome, list) for outcome in outcomes)
            self.units += written
            self.commits += written > 0
            for pending, outcome in zip(self._batch, outcomes, strict=True):
                _answer(pending, outcome)

    async def _collect(self) -> bool:
        """Wait for one unit, then take all that are ready. Return False if the store closes."""
        self._batch = []
        pending = await self._queue.get()
        while pending is not None:
            self._batch.append(pending)
            if len(self._batch) == UNITS_A_COMMIT or self._queue.empty():
                return True
            pending = self._queue.get_nowait()
        if self._batch:
            self._queue.put_nowait(None)
        return bool(self._batch)

    def _refuse_the_rest(self, writing: asyncio.Task[None]) -> None:
        """Refuse the waiting units when the writer has ended, so that no caller waits for ever."""
        cause = None if writing.cancelled() else writing.exception()
        waiting = [*self._batch]
        while not self._queue.empty():
            if (pending := self._queue.get_nowait()) is not None:
                waiting.append(pending)
        for pending in waiting:
            failure = StorageFailed("the store stopped before this was known to be written")
            failure.__cause__ = cause
            _answer(pending, failure)


def _rows(outcome: list[_T] | Refusal) -> list[_T]:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _answer(pending: _Pending, outcome: Outcome) -> None:
    if not pending.answer.done():
        pending.answer.set_result(outcome)


def _create(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError as error:
        raise StorageFailed(f"cannot create {path}: {error.strerror}") from error


async def _connect(path: Path, prepare: Callable[[sqlite3.Connection], None]) -> aiosqlite.Connection:
    try:
        connection = await aiosqlite.connect(path, isolation_level=None)
    except sqlite3.Error as error:
        raise StorageFailed(f"cannot open {path}: {error}") from error
    try:
        await _in_thread(connection, prepare)
    except BaseException as error:
        await connection.close()
        if isinstance(error, sqlite3.Error):
            raise StorageFailed(f"cannot use {path}: {error}") from error
        raise
    return connection


def _as_writer(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise sqlite3.OperationalError("no write-ahead log here; the data folder must be on a local disk")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _as_reader(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA query_only = ON")


async def _in_thread(connection: aiosqlite.Connection, work: Callable[[sqlite3.Connection], _T]) -> _T:
    """Run `work` in the connection's own thread, in one hop.

    aiosqlite has no public way to run more than one statement a hop, and a hop costs more than a statement.
    It also logs what it runs at debug level, where its own methods would show the parameters.
    """
    run: Any = connection._execute  # noqa: SLF001
    result: _T = await run(work, connection._conn)  # noqa: SLF001
    return result
