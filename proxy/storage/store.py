"""The Store interface: everything the server asks of a database, and how a database says no.

It imports no driver. SQL is written once with `:name` parameters; for PostgreSQL they are numbered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

Value = str | int | float | bytes | None
Params = Mapping[str, Value]
Row = Mapping[str, Any]
"""One row by column name; `msgspec.convert` makes it a frozen value in the query functions."""


class Statement(msgspec.Struct, frozen=True):
    """One SQL statement and its parameters. The repr has the SQL only: parameters may be a customer's."""

    sql: str
    params: Params = {}

    def __repr__(self) -> str:
        return f"<Statement {self.sql!r}, {len(self.params)} parameters>"


class Store(Protocol):
    """A database, shared by everything in one worker. Every method may be called concurrently.

    `is_shared`: whether other workers may be writing to it at the same time.
    """

    is_shared: bool

    async def now(self) -> int:
        """Microseconds UTC by the store's own clock, the only one that plans, keys and bills go by."""
        ...

    async def read(self, sql: str, params: Params | None = None) -> list[Row]:
        """One query. Sees every write that was answered before it began."""
        ...

    async def read_long(self, sql: str, params: Params | None = None) -> list[Row]:
        """The same for a query over many rows, beside `read` and slower to be answered: sums and exports of
        some keep nobody's key from being recognised."""
        ...

    async def write(self, *statements: Statement) -> list[list[Row]]:
        """One atomic unit: all statements or none. Gives each statement's RETURNING rows.

        Answers only after the commit, so what it answers survives a crash. A unit handed over is carried
        out even if its caller is cancelled while it waits. Raises AlreadyExists, MissingReference,
        StorageFailed; then nothing of the unit was kept. Only of StorageUnreachable that is not known: the
        commit may have been on its way. A row with an id of its own can be written again, `ON CONFLICT`.
        """
        ...

    async def close(self) -> None:
        """Commits what was handed over, then lets go of the database. May be called twice."""
        ...


class StorageFailed(Exception):
    """The database could not do it: full, locked, damaged, closed, or the statement is wrong."""


class StorageUnreachable(StorageFailed):
    """The database is away or does not answer, which may pass: another try may well succeed. Of a write
    nobody knows whether it was done: only what has ids of its own may be tried again."""


class AlreadyExists(Exception):
    """A row with this unique value is there already; the message names the column, never the value."""


class MissingReference(Exception):
    """The row points at another one that does not exist."""


Refusal = StorageFailed | AlreadyExists | MissingReference
UNSTORABLE = "a value cannot be stored: text must be Unicode without NUL, numbers must fit 64 bits"
