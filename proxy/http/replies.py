"""Answers: JSON and failures in the one encoding that all endpoints share, and CSV for spreadsheets."""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import re
import secrets
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from decimal import Decimal
from http import HTTPStatus
from typing import Any, NamedTuple, TypeVar

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from policies import rate
from proxy.errors import RequestFailed
from proxy.http.connection import Connection, RawHeader

_log = structlog.get_logger()

NO_SNIFFING: RawHeader = (b"x-content-type-options", b"nosniff")
"""A header of every answer. The console's policy allows scripts from this server, and with this header a
browser runs no other answer as a script."""
COMMON_HEADERS: tuple[RawHeader, ...] = (NO_SNIFFING, (b"cache-control", b"no-store"))
"""The headers of every answer that has no `cache-control` of its own: it may be private, so nothing stores
it."""

encode_json = msgspec.json.Encoder().encode

StructType = TypeVar("StructType", bound=msgspec.Struct)

_TAKES_GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))", re.IGNORECASE)

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""If a cell begins with one of these, a spreadsheet runs it as a formula."""


def reply(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(encode_json(value), status, headers, media_type="application/json")


def struct_from(struct: type[StructType], record: object, **extra: Any) -> StructType:
    """Return the struct with the `extra` fields. Its other fields are the record's of the same names."""
    fields = struct.__struct_fields__
    from_record = {
        name: getattr(record, name) for name in fields if name not in extra and hasattr(record, name)
    }
    return struct(**from_record, **extra)


class Compressed(NamedTuple):
    """Content that is compressed once and sent often, so that strangers can ask for it at little cost."""

    media: str
    plain: bytes
    gzipped: bytes

    @classmethod
    def compress(cls, media: str, content: bytes) -> Compressed:
        return cls(media, content, gzip.compress(content, mtime=0))

    def compressed_response(self, request: Request, headers: Mapping[str, str]) -> Response:
        """Answer with the content, compressed if the client takes gzip."""
        all_headers = {"content-type": self.media, "vary": "accept-encoding", **headers}
        if not _TAKES_GZIP.search(request.headers.get("accept-encoding", "")):
            return Response(self.plain, headers=all_headers)
        return Response(self.gzipped, headers={**all_headers, "content-encoding": "gzip"})


def failure_reply(failure: RequestFailed) -> Response:
    headers = dict(failure.headers)
    if failure.retry_after_s is not None:
        headers["retry-after"] = str(rate.retry_after_s(failure.retry_after_s))
    return reply(failure.body(), failure.status, headers)


def refusal_bytes(failure: RequestFailed, server_headers: Iterable[RawHeader]) -> bytes:
    """Write the answer to a request that reaches no endpoint. The connection ends with it."""
    answer = failure_reply(failure)
    _log.info("connection.refused", request=(id_ := f"req_{secrets.token_hex(12)}"), code=failure.code)
    headers = [
        *server_headers,
        *answer.raw_headers,
        (b"x-request-id", id_.encode()),
        (b"openai-processing-ms", b"0"),
        *COMMON_HEADERS,
        (b"connection", b"close"),
    ]
    lines = [b"HTTP/1.1 %d %b" % (failure.status, HTTPStatus(failure.status).phrase.encode())]
    lines += [b"%b: %b" % header for header in headers]
    return b"\r\n".join([*lines, b"", bytes(answer.body)])


class CsvReply(Response):
    """A line of names, then the rows, a batch at a time: each batch is sent as soon as it is read."""

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
        del self.headers["content-length"]  # it is not known yet
        self._names = names
        self._batches = batches

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = Connection(scope, receive, send)
        with connection.stop_when_client_leaves():
            async with aclosing(self._batches) as batches:
                # Read before the headers go out, so that a database that cannot be reached is still an error.
                first = await anext(batches)
                connection.set_head(200, self.raw_headers)
                await connection.send(_csv_lines([self._names]) + _csv_lines(map(_cells, first)))
                async for batch in batches:
                    await connection.send(_csv_lines(map(_cells, batch)))
                    await asyncio.sleep(0)  # otherwise a quick client with quick rows would block the loop
                await connection.end(b"")


def csv_bytes(names: Sequence[str], rows: Iterable[msgspec.Struct]) -> bytes:
    """Return a whole table, as `CsvReply` sends it."""
    return _csv_lines([names]) + _csv_lines(map(_cells, rows))


def _cells(row: msgspec.Struct) -> list[Any]:
    return [_cell(value) for value in msgspec.structs.astuple(row)]


def _cell(value: Any) -> Any:
    """Write a cell so that a spreadsheet only shows it.

    Anyone may name a voice, so a quote goes before a text that looks like a formula. Small numbers are
    written out, because not every reader accepts 1e-06 as a number.
    """
    if isinstance(value, msgspec.Struct):
        return encode_json(value).decode()
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return f"{Decimal(repr(value)):f}" if isinstance(value, float) else value


def _csv_lines(rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
