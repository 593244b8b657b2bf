"""Calls to PostgreSQL over a pool of connections. A unit of work is tried again if that helps.

All tries share the time limit of `answer_in_time`."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable
from functools import lru_cache
from typing import Any, TypeVar

import asyncpg

from proxy.storage import store
from proxy.storage.turns import MOST_POSTGRES_S, log_if_long

_TRIES = 4

_T = TypeVar("_T")


PostgresCall = tuple[str, tuple[Any, ...]]
"""SQL with numbered parameters, and their values."""


async def answer_in_time(query: Awaitable[_T], within_s: float) -> _T:
    """Return the answer if it comes in time. Otherwise raise a failure of the store."""
    failure: Exception
    try:
        async with asyncio.timeout(within_s):
            return await query
    except TimeoutError:
        failure = store.StorageUnreachable(f"the database did not answer within {within_s:g} s")
    except DRIVER_FAULTS as error:
        failure = store_failure(error)
    # It is raised outside of the `except`: its cause would be the driver's error, which quotes values.
    raise failure


def to_call(statement: store.Statement) -> PostgresCall:
    sql, names = number_parameters(statement.sql)
    missing = [name for name in names if name not in statement.params]
    if missing:
        raise store.StorageFailed(f"the statement has no value for :{', :'.join(missing)}")
    return sql, tuple(statement.params[name] for name in names)


async def carry_out(pool: asyncpg.Pool, calls: list[PostgresCall]) -> list[list[store.Row]]:
    """Run the calls as one unit, and return the rows of each.

    A unit that fails with WORTH_ANOTHER_TRY is tried again.
    """
    for _ in range(_TRIES - 1):
        try:
            return await _try(pool, calls)
        except WORTH_ANOTHER_TRY:
            continue
    return await _try(pool, calls)


async def _try(pool: asyncpg.Pool, calls: list[PostgresCall]) -> list[list[store.Row]]:
    async with pool.acquire() as connection:
        try:
            if len(calls) == 1:
                # One statement is a transaction of its own, and saves two round trips.
                return [await _rows(connection, calls[0])]
            return await _in_transaction(connection, calls)
        except asyncio.CancelledError:
            # A clean end would wait for the server, and the server may be stuck.
            connection.terminate()
            raise


async def _in_transaction(connection: asyncpg.Connection, calls: list[PostgresCall]) -> list[list[store.Row]]:
    # The driver's own transaction block is not used: if it is cancelled, it waits for a ROLLBACK of a server
    # that may be frozen.
    laps, answers = [time.monotonic()], []
    await connection.execute("BEGIN")
    try:
        for call in calls:
            answers.append(await _rows(connection, call))
            laps.append(time.monotonic())
    except DRIVER_FAULTS:
        if not connection.is_closed():
            await connection.execute("ROLLBACK")
        raise
    await connection.execute("COMMIT")
    log_if_long((sql for sql, _ in calls), laps, MOST_POSTGRES_S)
    return answers


async def _rows(connection: asyncpg.Connection, call: PostgresCall) -> list[store.Row]:
    sql, values = call
    return [dict(record) for record in await connection.fetch(sql, *values)]


# The first pattern that matches wins: a colon inside a literal, a comment or a cast names no parameter.
_TOKEN = re.compile(
    r"""
      '(?:[^']|'')*'
    | "(?:[^"]|"")*"
    | --[^\n]*
    | /\*.*?\*/
    | \$(\w*)\$.*?\$\1\$
    | ::
    | :(?P<name>[A-Za-z_]\w*)
    """,
    re.VERBOSE | re.DOTALL,
)


@lru_cache(maxsize=1024)
def number_parameters(sql: str) -> tuple[str, tuple[str, ...]]:
    """Replace `:name` by `$1`, and return the SQL and the name that each number stands for, in order.

    A repeated name keeps its number, so that its value is sent once.
    """
    names: dict[str, int] = {}

    def number(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None:
            return match[0]
        return f"${names.setdefault(name, len(names) + 1)}"

    translated = _TOKEN.sub(number, sql)
    return translated, tuple(names)


DRIVER_FAULTS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    ValueError,  # the driver raises this for an address that it cannot read
)
"""All exceptions that a server, its absence or a value can cause. A TimeoutError is an OSError: catch it
first."""

WORTH_ANOTHER_TRY = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.InvalidCachedStatementError,
)
"""The server has undone the whole unit. Another try can succeed, in another order or with a fresh plan."""

_DATA_EXCEPTION = "22"
_LOCKED = "55P03"
_UNREACHABLE_STATES = ("08", "57P", "53300")
"""Connections that break, servers that start or stop, and servers with no connection to spare."""


def store_failure(error: BaseException) -> store.Refusal:
    """Return a fault of PostgreSQL or its driver as a failure of the store.

    Their texts may quote the values of a statement, so only the parts that never do are passed on.
    """
    if isinstance(error, asyncpg.UniqueViolationError):
        return store.AlreadyExists(
            f"there is such a row already: {error.constraint_name} on {error.table_name}"
        )
    if isinstance(error, asyncpg.ForeignKeyViolationError):
        return store.MissingReference(f"there is no such row: {error.constraint_name} on {error.table_name}")
    if isinstance(error, asyncpg.PostgresError):
        return _by_state(error.sqlstate or "", error)
    if isinstance(error, ValueError):
        return store.StorageFailed("[storage] url is no address that can be used")
    if isinstance(error, OSError):
        return store.StorageUnreachable(
            f"the database cannot be reached: {error.strerror or type(error).__name__}"
        )
    return store.StorageUnreachable("the connection to the database was lost")


def _by_state(state: str, error: asyncpg.PostgresError) -> store.StorageFailed:
    # The driver's own DataError has a state of this class, too: 22000.
    if state.startswith(_DATA_EXCEPTION):
        return store.StorageFailed(store.UNSTORABLE)
    # Only the message is passed on: details and hints quote rows.
    text = error.args[0] if error.args else type(error).__name__
    if state == _LOCKED:
        return store.StorageBusy(f"the database is busy: {text}")
    if state.startswith(_UNREACHABLE_STATES):
        return store.StorageUnreachable(f"the database is away: {text}")
    return store.StorageFailed(f"the database refused: {text}")
