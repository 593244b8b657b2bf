"""CSV answers, written as their rows are read: for spreadsheets, which must not take a cell for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from decimal import Decimal
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from proxy.http.connection import Connection

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


class CsvReply(Response):
    """A line of names, then the rows, a batch at a time."""

    media_type = "text/csv"

    def __init__(
        self,
        file_name: str,
        names: Sequence[str],
        batches: AsyncGenerator[Sequence[msgspec.Struct], None],
    ) -> None:
        super().__init__(
            headers={
                "content-disposition": f'attachment; filename="{file_name}"',
                "x-accel-buffering": "no",
            }
        )
        del self.headers["content-length"]  # nobody knows it yet
        self._names = names
        self._batches = batches

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = Connection(scope, receive, send)
        headers = [(name.decode(), value.decode()) for name, value in self.raw_headers]
        async with connection.watched(), aclosing(self._batches) as batches:
            # Before the headers go out, so that a database that is away is still an error.
            first = await anext(batches)
            await connection.start(200, headers)
            await connection.send(_lines([self._names]) + _lines(map(_cells, first)))
            async for batch in batches:
                await connection.send(_lines(map(_cells, batch)))
            await connection.end(b"")


def _cells(row: msgspec.Struct) -> list[Any]:
    return [_cell(value) for value in msgspec.structs.astuple(row)]


def _cell(value: Any) -> Any:
    """Names of voices and the like are other people's words; the quote makes a spreadsheet show them only.
    A millionth is written out, since not every reader takes 1e-06 for a number."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return f"{Decimal(repr(value)):f}" if isinstance(value, float) else value


def _lines(rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
