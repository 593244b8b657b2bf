"""Shared parts of all queries on tables: ids, INSERTs, structs in a column, and the place where a page
ended."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

import msgspec

from proxy.storage.store import Params, Row, Statement

LAST_MOMENT = 2**63 - 1


UnknownRow = msgspec.ValidationError
"""A row has a kind or a state that only a newer version knows."""
_T = TypeVar("_T")
_Item = TypeVar("_Item")
_Shown = TypeVar("_Shown")

_ROWS_A_TURN = 50
"""So many rows are read or shown in one turn of the loop: about a millisecond."""


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

    The last value fills a list up to a power of four: a driver remembers each text, and there are few.
    """
    size = 1
    while size < len(values):
        size *= 4
    filled = [*values, *[values[-1]] * (size - len(values))]
    params = {f"{name}{number}": value for number, value in enumerate(filled)}
    return ", ".join(f":{each}" for each in params), params


def read_known(rows: Iterable[Row], read: Callable[[Row], _T] | type[_T]) -> list[_T]:
    """Read rows, and leave out those that only a newer version knows. A type is that of the rows."""
    found = list[_T]()
    for row in rows:
        with suppress(UnknownRow):
            found.append(msgspec.convert(row, read) if isinstance(read, type) else read(row))
    return found


async def map_in_turns(of: Callable[[_Item], _Shown], items: Sequence[_Item]) -> list[_Shown]:
    """Return `of` each item. The loop has a turn for others after every few of them."""
    return [of(item) async for few in chunks_in_turns(items) for item in few]


async def chunks_in_turns(items: Sequence[_Item]) -> AsyncIterator[Sequence[_Item]]:
    """Yield a few items at a time, with a turn of the loop for others between them."""
    for at in range(0, len(items), _ROWS_A_TURN):
        if at:
            await asyncio.sleep(0)
        yield items[at : at + _ROWS_A_TURN]


def encode_json(value: Any) -> str:
    """Write a struct as JSON: both databases keep it in a column, and an operator can read it."""
    return msgspec.json.encode(value).decode()


decode_json = msgspec.json.Decoder().decode
