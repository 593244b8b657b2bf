"""The interface of a store: the server's operations on a database, and their errors.

It imports no driver. SQL is written once with `:name` parameters; for PostgreSQL they are numbered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, NamedTuple, Protocol

import msgspec

from proxy.errors import RequestFailed, StorageUnavailable
from proxy.storage.tables import Tables
from proxy.telemetry.background import OutsideFailure

Value = str | int | float | bytes | None
Params = Mapping[str, Value]
Row = Mapping[str, Any]
"""One row by column name. The query functions make a frozen value of it with `msgspec.convert`."""


class Statement(msgspec.Struct, frozen=True):
    """One SQL statement and its parameters. The repr has no parameters: they may be a customer's data."""

    sql: str
    params: Params = {}

    def __repr__(self) -> str:
        return f"<Statement {self.sql!r}, {len(self.params)} parameters>"


class Condition(NamedTuple):
    """An SQL condition for a commit. The statements `locks` come first, and lock the rows of the
    condition."""

    sql: str
    params: Params
    locks: tuple[Statement, ...] = ()


ALWAYS = Condition("CAST(1 AS BIGINT) = 1", {})

Content = tuple[Statement, ...] | msgspec.Struct
"""A unit of statements, or a struct that the driver knows: the end of a request, a hold to take."""


class BatchItem(Protocol):
    """An item in the queue of writes. The store calls it on the event loop."""

    @property
    def content(self) -> Content:
        """The content as it is now. It is read once, when the database gets it."""
        ...

    def answer(self, content: Content, outcome: WriteOutcome) -> None:
        """Take the outcome of the content that was handed over. It is called once, and must not raise."""
        ...


class Store(Protocol):
    """A database, shared by everything in one worker. Every method may be called concurrently.

    `is_shared` tells whether other workers may write to it at the same time. `tables` are all that this
    version has.
    """

    is_shared: bool
    tables: Tables

    async def now(self) -> int:
        """Return the time in microseconds UTC, by the store's own clock. Plans, keys and bills use only this
        clock."""
        ...

    async def read(self, sql: str, params: Params | None = None) -> list[Row]:
        """Run one query. It sees every write that was answered before it began."""
        ...

    async def read_long(self, sql: str, params: Params | None = None) -> list[Row]:
        """Run a query over many rows. It does not delay `read`, so sums do not delay the check of a key."""
        ...

    async def write(self, *statements: Statement) -> list[list[Row]]:
        """Write one atomic unit, all statements or none, and give each statement's RETURNING rows.

        It returns after the commit, so that the result survives a crash. A unit is carried out even if its
        caller is cancelled. After AlreadyExists, MissingReference or StorageFailed, nothing of the unit was
        written. After StorageUnreachable that is not known: the commit may have been on its way. A row with
        an id of its own can be written again, `ON CONFLICT`.
        """
        ...

    def submit(self, item: BatchItem) -> None:
        """Put an item into the queue of writes, as one atomic unit. It returns at once.

        The item is answered after the commit, or when it is refused; at once, if the store is closed.
        Otherwise an item behaves as a unit of `write`.
        """
        ...

    def watch_commits(self, on_commit: Callable[[float], None]) -> None:
        """Call this after each transaction that writes, with its seconds, from any thread."""
        ...

    async def find_damage(self) -> str:
        """Return the damage of the database's files, "" if none is known."""
        ...

    async def forget_deleted(self) -> bool:
        """Remove deleted rows from the database's files, as far as it can. Return False if it must be tried
        again."""
        ...

    async def close(self) -> None:
        """Commit all items, and close the database. It may be called twice."""
        ...


class StorageFailed(OutsideFailure):
    """The database refused: it is full, locked, damaged or closed, or the statement is wrong.

    A client gets the `failure`. If it `is_transient`, another try may succeed: a worker that it ended
    is started again.
    """

    failure: ClassVar[type[RequestFailed]] = StorageUnavailable
    is_transient: ClassVar[bool] = False


class StorageUnreachable(StorageFailed):
    """The database cannot be reached or does not answer. Another try may succeed.

    After a write it is not known whether it was done. Only rows with ids of their own may be tried again.
    """

    is_transient = True


class StorageBusy(StorageFailed):
    """Another transaction has a lock. Nothing was written."""

    is_transient = True


class AlreadyExists(Exception):
    """A row with this unique value is there already. The message names the column, never the value."""


class MissingReference(Exception):
    """The row points at another one that does not exist."""


Refusal = StorageFailed | AlreadyExists | MissingReference
WriteOutcome = list[list[Row]] | Refusal
"""The rows of each statement after the commit, or the reason why nothing was written."""

_TRIES = 5


async def write_deletion(store: Store, *statements: Statement) -> list[list[Row]]:
    """Write a unit that deletes rows and the rows that point at them. If another such row is committed
    meanwhile, the database refuses the unit, and it is written again."""
    for _ in range(_TRIES - 1):
        try:
            return await store.write(*statements)
        except MissingReference:
            continue
    return await store.write(*statements)


async def until_written(write: Callable[[], Awaitable[object]], tries: int, pause_s: float = 0.0) -> None:
    """Repeat a write until the database has answered it. After the last try, raises StorageUnreachable."""
    for tries_left in reversed(range(tries)):
        try:
            await write()
            return
        except StorageUnreachable:
            if not tries_left:
                raise
            await asyncio.sleep(pause_s)


UNSTORABLE = "a value cannot be stored: text must be Unicode without NUL, numbers must fit 64 bits"
