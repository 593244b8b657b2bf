"""Shared parts of queries on tables: ids, INSERTs, IN lists, structs in a column, and places of pages."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

import msgspec

from proxy.storage.store import Params, Row, Statement

LAST_MOMENT = 2**63 - 1
"""The largest time in a column, in microseconds. It stands for no end."""

UnknownRow = msgspec.ValidationError
"""Raised for a row with a kind or a state that only a newer version knows."""
_T = TypeVar("_T")
_Item = TypeVar("_Item")
_Shown = TypeVar("_Shown")

_ROWS_A_TURN = 50
"""The rows that are converted in one turn of the event loop, which takes about a millisecond."""


class PagePlace(NamedTuple):
    """The moment and the id of the last row of a page. Rows are listed the newest first.

    The next page goes on behind this row, even when rows were added in the meantime.
    """

    at: int
    id: str


NEWEST = PagePlace(LAST_MOMENT, "")


def new_id(prefix: str) -> str:
    """Make the id of a row: a prefix for what it names, and 96 random bits."""
    return f"{prefix}_{secrets.token_hex(12)}"


def columns(type_: type[msgspec.Struct]) -> str:
    """List the fields of a struct as columns, so that the struct and its table cannot drift apart."""
    return ", ".join(type_.__struct_fields__)


def insert_sql(table: str, type_: type[msgspec.Struct]) -> str:
    values = ", ".join(f":{name}" for name in type_.__struct_fields__)
    return f"INSERT INTO {table} ({columns(type_)}) VALUES ({values})"


def insert(sql: str, row: msgspec.Struct) -> Statement:
    return Statement(sql, msgspec.structs.asdict(row))


def in_list(values: Sequence[str], name: str = "any") -> tuple[str, Params]:
    """Return the inside of `IN (…)` for these values, and its parameters.

    The last value is repeated up to a power of four. So there are few texts of SQL, each of which a driver
    remembers.
    """
    size = 1
    while size < len(values):
        size *= 4
    filled = [*values, *[values[-1]] * (size - len(values))]
    params = {f"{name}{number}": value for number, value in enumerate(filled)}
    return ", ".join(f":{each}" for each in params), params


def read_known(rows: Iterable[Row], read: Callable[[Row], _T] | type[_T]) -> list[_T]:
    """Read rows with this function or as this type. Leave out those that only a newer version knows."""
    found = list[_T]()
    for row in rows:
        with suppress(UnknownRow):
            found.append(msgspec.convert(row, read) if isinstance(read, type) else read(row))
    return found


async def map_in_turns(of: Callable[[_Item], _Shown], items: Sequence[_Item]) -> list[_Shown]:
    """Return `of` each item. Other tasks of the event loop have a turn after every few items."""
    return [of(item) async for few in chunks_in_turns(items) for item in few]


async def chunks_in_turns(items: Sequence[_Item]) -> AsyncIterator[Sequence[_Item]]:
    """Yield a few items at a time. Other tasks of the event loop have a turn between them."""
    for at in range(0, len(items), _ROWS_A_TURN):
        if at:
            await asyncio.sleep(0)
        yield items[at : at + _ROWS_A_TURN]


def encode_json(value: Any) -> str:
    """Write a struct as JSON: both databases keep it in a column, and an operator can read it."""
    return msgspec.json.encode(value).decode()


decode_json = msgspec.json.Decoder().decode
