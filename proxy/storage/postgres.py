"""The store over PostgreSQL, for several workers or machines: raw asyncpg and three small pools.

Reads have their own, read-only connections: writes that wait for a lock do not delay the check of a key. The
next caller replaces a broken connection, so the store recovers by itself when its server is back.

Settlements are written in batches, and holds are taken in batches, each batch in one round trip. Any other
unit has a connection of its own, since it may wait for a lock.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import asyncpg

from proxy.config.addresses import show_storage
from proxy.storage import store as database
from proxy.storage.batch_writer import BatchWriter, SharedRun, write_unit
from proxy.storage.holds import POSTGRES_TAKE, Take, take_values
from proxy.storage.postgres_calls import DRIVER_FAULTS, PostgresCall, answer_in_time, carry_out, to_call
from proxy.storage.settlements import End, settlements_of
from proxy.storage.tables import Tables

CONNECTIONS = 14
ANSWER_S = 5.0
"""The longest wait of a caller, with the wait for a free connection. Clients give up after 10 s."""
LONG_READ_TIMES = 3
"""A long read may take this many times as long."""
MIGRATION_S = 600.0
VACUUM_S = 600.0

_READ_ONLY = {"default_transaction_read_only": "on"}
_CLOCK_S = 1.0
_NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now"
_MIGRATION_LOCK = 0x766F7867617465  # "voxgate": every version must use the same number
_LOCK_AGAIN_S = 0.1


class _Pools(NamedTuple):
    readers: asyncpg.Pool
    writers: asyncpg.Pool
    long_readers: asyncpg.Pool


def pool_sizes(connections: int) -> tuple[int, int, int]:
    """Return the most readers, writers and long readers of so many connections."""
    readers, long_readers = max(2, connections * 2 // 7), max(1, connections // 7)
    return readers, connections - readers - long_readers, long_readers


class PostgresStore:
    """Use `PostgresStore.open`."""

    is_shared = True

    def __init__(self, pools: _Pools, name: str, answer_s: float, tables: Tables) -> None:
        self.tables = tables
        self._settlement = settlements_of(tables)
        self._pools = pools
        self._name = name
        self._answer_s = answer_s
        self._on_commit: Callable[[float], None] = lambda _: None
        self._is_closed = False
        self._lock: Any = None
        self._clock = (0, -math.inf)
        self._settlements = PostgresBatches(self._settle)
        self._takes = PostgresBatches(self._take)
        self._single_writes: set[asyncio.Task[None]] = set()
        self._vacuuming = SharedRun(lambda: answer_in_time(self._vacuum(), VACUUM_S))

    def __repr__(self) -> str:
        writing = len(self._settlements.writer) + len(self._takes.writer) + len(self._single_writes)
        state = "closed" if self._is_closed else f"{writing} being written"
        return f"<PostgresStore {self._name}, {state}>"

    @classmethod
    async def open(
        cls, url: str, answer_s: float = ANSWER_S, tables: Tables = (), connections: int = CONNECTIONS
    ) -> PostgresStore:
        """Connect once, so that a wrong address or password is known now. Raises StorageFailed."""
        readers, writers, long_readers = pool_sizes(connections)
        pools = _Pools(
            readers=await _pool(url, readers, answer_s, _READ_ONLY),
            writers=await _pool(url, writers, answer_s, {}),
            long_readers=await _pool(url, long_readers, LONG_READ_TIMES * answer_s, _READ_ONLY),
        )
        # The first answer has the usual time, even if a migration has more.
        store = cls(pools, show_storage(url), ANSWER_S, tables)
        try:
            await store.now()
        except database.StorageFailed as error:
            await store.close()
            raise type(error)(f"cannot use PostgreSQL at {store._name}: {error}") from None
        except BaseException:
            await store.close()
            raise
        store._answer_s = answer_s
        return store

    def watch_commits(self, on_commit: Callable[[float], None]) -> None:
        self._on_commit = on_commit

    async def now(self) -> int:
        """Return the database's time. It is read at most once a second, and counted on in between."""
        answered, at = self._clock
        if (since := time.monotonic() - at) < _CLOCK_S:
            return answered + int(since * 1e6)
        began = time.monotonic()
        (row,) = await self.read(_NOW)
        self._clock = (row["now"], began)
        return self._clock[0]

    async def read(self, sql: str, params: database.Params | None = None) -> list[database.Row]:
        self._check_open()
        unit = (database.Statement(sql, params or {}),)
        (rows,) = await self._answer(self._pools.readers, unit, self._answer_s)
        return rows

    async def read_long(self, sql: str, params: database.Params | None = None) -> list[database.Row]:
        self._check_open()
        unit = (database.Statement(sql, params or {}),)
        (rows,) = await self._answer(self._pools.long_readers, unit, LONG_READ_TIMES * self._answer_s)
        return rows

    async def write(self, *statements: database.Statement) -> list[list[database.Row]]:
        self._check_open()
        return await write_unit(self, statements)

    def submit(self, item: database.BatchItem) -> None:
        content = item.content
        if self._is_closed:
            item.answer(content, database.StorageFailed("the store is closed"))
        elif isinstance(content, End):
            self._settlements.writer.add(item)
        elif isinstance(content, Take):
            self._takes.writer.add(item)
        else:
            assert isinstance(content, tuple), "every other struct is for another store"
            task = asyncio.create_task(self._write_alone(item, content))
            self._single_writes.add(task)
            task.add_done_callback(self._single_writes.discard)

    async def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        try:
            # `wait` does not cancel the writes if this close is cancelled.
            if self._single_writes:
                await asyncio.wait(self._single_writes)
            for batches in (self._takes, self._settlements):
                await batches.writer.drain()
            async with asyncio.timeout(ANSWER_S):
                if self._lock is not None:
                    await self._pools.writers.release(self._lock)
                for pool in self._pools:
                    await pool.close()
        except (*DRIVER_FAULTS, TimeoutError):
            pass  # the server does not answer: the connections are cut below
        finally:
            for pool in self._pools:
                pool.terminate()

    async def find_damage(self) -> str:
        return ""  # the server checks its own pages

    async def forget_deleted(self) -> bool:
        """Vacuum the tables with personal data, so that deleted rows are gone. The log, replicas and backups
        keep them."""
        self._check_open()
        return await self._vacuuming.run()

    async def lock_migrations(self) -> None:
        """Wait until no other process migrates, then keep all others out until this store closes.

        The lock belongs to a connection, so it ends when its process ends.
        """
        self._lock = await answer_in_time(self._pools.writers.acquire(), self._answer_s)
        await answer_in_time(self._take_lock(), self._answer_s)

    async def _take_lock(self) -> None:
        # The lock is tried again and again: a statement that waits for it would have a snapshot, and an index
        # that is made concurrently waits for all snapshots.
        while True:
            if await self._lock.fetchval(f"SELECT pg_try_advisory_lock({_MIGRATION_LOCK})"):
                return
            await asyncio.sleep(_LOCK_AGAIN_S)

    def _check_open(self) -> None:
        if self._is_closed:
            raise database.StorageFailed("the store is closed")

    async def _write_alone(self, item: database.BatchItem, unit: tuple[database.Statement, ...]) -> None:
        outcome: database.WriteOutcome = _stopped()
        try:
            outcome = await self._write([to_call(statement) for statement in unit])
        except REFUSALS as refused:
            outcome = refused
        finally:
            item.answer(unit, outcome)

    async def _vacuum(self) -> bool:
        async with self._pools.writers.acquire() as connection:
            personal = [table.name for table in self.tables if table.personal]
            await connection.execute(f"SET statement_timeout = {VACUUM_S * 1000:.0f}")
            try:
                await connection.execute(f"VACUUM {', '.join(personal)}")
                await connection.execute(f"SET statement_timeout = {self._answer_s * 1000:.0f}")
            except BaseException:
                # A clean close would wait for the server, and the connection would keep the changed timeout.
                connection.terminate()
                raise
        return True

    async def _settle(self, contents: Sequence[database.Content]) -> list[list[list[database.Row]]]:
        ends = [content for content in contents if isinstance(content, End)]
        call = (self._settlement.postgres, tuple(self._settlement.postgres_values(ends)))
        await self._write([call])
        return [[] for _ in ends]

    async def _take(self, contents: Sequence[database.Content]) -> list[list[list[database.Row]]]:
        takes = [content for content in contents if isinstance(content, Take)]
        order, values = take_values(takes)
        (rows,) = await self._write([(POSTGRES_TAKE, values)])
        found: list[list[list[database.Row]]] = [[] for _ in takes]
        for row in rows:
            found[order[row["place"] - 1]] = [[row]]
        return found

    async def _write(self, calls: list[PostgresCall]) -> list[list[database.Row]]:
        began = time.monotonic()
        answers = await answer_in_time(carry_out(self._pools.writers, calls), self._answer_s)
        self._on_commit(time.monotonic() - began)
        return answers

    async def _answer(
        self, pool: asyncpg.Pool, unit: tuple[database.Statement, ...], within_s: float
    ) -> list[list[database.Row]]:
        return await answer_in_time(carry_out(pool, [to_call(statement) for statement in unit]), within_s)


@asynccontextmanager
async def migrating(url: str) -> AsyncIterator[PostgresStore]:
    """Open a store with long timeouts, for one process at a time: other processes wait here."""
    store = await PostgresStore.open(url, MIGRATION_S)
    try:
        await store.lock_migrations()
        yield store
    finally:
        await store.close()


async def _pool(url: str, most: int, answer_s: float, settings: Mapping[str, str]) -> asyncpg.Pool:
    return await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=most,
        timeout=ANSWER_S,
        # No statement leaves state on a connection, so no reset has to cost a round trip.
        reset=_nothing_to_reset,
        server_settings={
            "application_name": "voxgate",
            # A statement whose caller has gone must not hold its locks for long.
            "statement_timeout": f"{answer_s * 1000:.0f}ms",
            "idle_in_transaction_session_timeout": f"{2 * answer_s * 1000:.0f}ms",
            **settings,
        },
    )


async def _nothing_to_reset(_connection: asyncpg.Connection) -> None:
    return


REFUSALS = (database.AlreadyExists, database.MissingReference, database.StorageFailed)

Write = Callable[[Sequence[database.Content]], Awaitable[list[list[list[database.Row]]]]]
"""Writes contents of one kind in one round trip, and gives the rows of each. Raises one of REFUSALS."""


class PostgresBatches:
    """The batches of one kind of content. Put items into `writer`.

    The items of a batch are one statement in one round trip, so it is written whole or not at all. If the
    database refuses it, each item is tried alone.
    """

    def __init__(self, write: Write) -> None:
        self.writer = BatchWriter(self._begin)
        self._write = write
        self._task: asyncio.Task[None] | None = None

    def _begin(self, contents: list[database.Content]) -> None:
        # This reference keeps the task alive.
        self._task = asyncio.create_task(self._carry_out(contents))

    async def _carry_out(self, contents: list[database.Content]) -> None:
        outcomes: list[database.WriteOutcome] = [_stopped() for _ in contents]
        try:
            outcomes = await self._outcomes(contents)
        finally:
            # The event loop calls it, so that it reports a fault in an answer at once.
            asyncio.get_running_loop().call_soon(self.writer.answer_batch, outcomes)

    async def _outcomes(self, contents: Sequence[database.Content]) -> list[database.WriteOutcome]:
        try:
            return [*await self._write(contents)]
        except REFUSALS as refused:
            refusal: database.Refusal = refused
        if len(contents) == 1 or isinstance(refusal, database.StorageUnreachable):
            return [_copy(refusal) for _ in contents]
        outcomes: list[database.WriteOutcome] = []
        for content in contents:
            if outcomes and isinstance(outcomes[-1], database.StorageUnreachable):
                # The database went away meanwhile: the other items do not wait for it again.
                outcomes.append(_copy(outcomes[-1]))
            else:
                outcomes += await self._outcomes([content])
        return outcomes


def _copy(refusal: database.Refusal) -> database.Refusal:
    """Make an exception for each caller, since raising one adds to its traceback."""
    return type(refusal)(*refusal.args)


def _stopped() -> database.StorageFailed:
    return database.StorageFailed("the store stopped before this was known to be written")
