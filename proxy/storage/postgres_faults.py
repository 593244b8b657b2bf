"""The faults of PostgreSQL and its driver as failures of the store.

Their own texts may quote the values of a statement, so only the parts that never do are passed on.
"""

from __future__ import annotations

import asyncpg

from proxy.storage.store import (
    UNSTORABLE,
    AlreadyExists,
    MissingReference,
    Refusal,
    StorageFailed,
    StorageUnreachable,
)

DRIVER_FAULTS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    ValueError,  # the driver raises this for an address that it cannot read
)
"""All that a server, its absence or a value can cause. A TimeoutError is an OSError: catch it first."""

WORTH_ANOTHER_TRY = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.InvalidCachedStatementError,
)
"""The server has undone the whole unit and would do it in another order, or with a fresh plan."""

_DATA_EXCEPTION = "22"
_AWAY = ("08", "57P", "53300")
"""Connections that break, servers that start or stop, and servers with no connection to spare."""


def refusal(error: BaseException) -> Refusal:
    if isinstance(error, asyncpg.UniqueViolationError):
        return AlreadyExists(f"there is such a row already: {error.constraint_name} on {error.table_name}")
    if isinstance(error, asyncpg.ForeignKeyViolationError):
        return MissingReference(f"there is no such row: {error.constraint_name} on {error.table_name}")
    if isinstance(error, asyncpg.PostgresError):
        return _by_state(error.sqlstate or "", error)
    if isinstance(error, asyncpg.DataError):
        return StorageFailed(UNSTORABLE)
    if isinstance(error, ValueError):
        return StorageFailed("[storage] url is no address that can be used")
    if isinstance(error, OSError):
        return StorageUnreachable(f"the database cannot be reached: {error.strerror or type(error).__name__}")
    return StorageUnreachable("the connection to the database was lost")


def _by_state(state: str, error: asyncpg.PostgresError) -> StorageFailed:
    if state.startswith(_DATA_EXCEPTION):
        return StorageFailed(UNSTORABLE)
    # The message alone: details and hints quote rows.
    text = error.args[0] if error.args else type(error).__name__
    if state.startswith(_AWAY):
        return StorageUnreachable(f"the database is away: {text}")
    return StorageFailed(f"the database refused: {text}")
