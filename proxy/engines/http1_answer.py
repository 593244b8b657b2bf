"""An answer of HTTP/1.1 on its way: parsed as it comes, and held until it is read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Protocol

import httptools

from speech_engine import EngineError, EngineFailed
from speech_engine.http import MOST_BYTES

_MOST_HEAD_BYTES = 64 * 1024
"""Of all headers together, and of whatever else is no body: chunk extensions, trailers, 1xx answers."""
_MOST_HEADERS = 256
_NOT_ENCODED = ("", "identity")


class AnswerSource(Protocol):
    """The connection, as its answer sees it."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...

    def expect_by(self, deadline: float) -> None:
        """End the answer with EngineTimeout then, if it still waits."""
        ...

    def resume(self) -> None:
        """Read on: what was held is read."""
        ...

    def abort(self, reason: str) -> None: ...


class Http1Answer:
    """A `speech_engine.HttpAnswer`. It stays readable when its connection serves the next request."""

    def __init__(self, connection: AnswerSource, silence_s: float) -> None:
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.held_bytes = 0
        self.is_whole = False
        self.is_untouched = True
        self.keeps_connection = False
        self.ends_with_connection = False
        self._connection: AnswerSource | None = connection
        self._silence_s = silence_s
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        # Harmless to a client with one request on a connection, and seen in the wild.
        self._parser.set_dangerous_leniencies(
            lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._fields: dict[str, str] = {}
        self._fields_seen = self._field_bytes = self._bytes_without_body = 0
        self._is_encoded = False
        self._fault = ""
        self._error: EngineError | None = None
        self._pieces: list[bytes] = []
        self._waiter: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"<HttpAnswer {self.status}>"

    @property
    def is_awaited(self) -> bool:
        return self._waiter is not None and not self._waiter.done()

    async def wait_for_head(self, deadline: float) -> None:
        """Raises EngineTimeout at `deadline`, EngineFailed if the connection ends before the status."""
        while not self.status and (connection := self._connection):
            await self._news(connection, deadline)
        if self._error is not None and not self.status:
            raise self._error

    async def next_piece(self) -> bytes:
        if not self._pieces and (connection := self._connection):
            deadline = time.monotonic() + self._silence_s
            while not self._pieces and self._connection is not None:
                await self._news(connection, deadline)
        if not self._pieces:
            if self._error is not None:
                raise self._error
            return b""
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self.held_bytes = 0
        if self._connection is not None:
            self._connection.resume()
        return data

    async def read(self, most_bytes: int = MOST_BYTES) -> bytes:
        parts, size = [], 0
        while piece := await self.next_piece():
            size += len(piece)
            if size > most_bytes:
                raise EngineFailed("The provider's answer is longer than any that makes sense.")
            parts.append(piece)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """End the exchange. The connection ends with it if the answer is not whole yet."""
        if self._connection is not None:
            self._connection.abort("the request was given up")

    def feed(self, data: bytes) -> str:
        """Parse what has come. Returns the fault in it, or an empty text."""
        assert self._parser is not None
        self.is_untouched = False
        self._bytes_without_body += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if self.is_whole:
                self.keeps_connection = False
            elif not self._fault:
                self._fault = str(error) if isinstance(error, httptools.HttpParserError) else "an upgrade"
        if not self.is_whole and self._bytes_without_body > _MOST_HEAD_BYTES:
            self._fault = self._fault or "too many bytes that are no body"
        return self._fault

    def end(self, error: EngineError | None) -> None:
        """Nothing more will come: the answer is whole, or `error` says why it is not."""
        self._connection = self._parser = None
        self._error = error
        if self._waiter is not None:
            self._wake()

    # What follows is called by the parser.

    def on_message_begin(self) -> None:
        if self.is_whole:  # A second answer to one request: nobody knows what comes next.
            self.keeps_connection = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields_seen += 1
        self._field_bytes += len(name) + len(value)
        if self._fields_seen > _MOST_HEADERS or self._field_bytes > _MOST_HEAD_BYTES:
            self._fault = "too many headers"
        elif not self.status:  # else a trailer
            self._fields[name.decode("latin-1").lower()] = value.decode("latin-1").strip(" \t")

    def on_headers_complete(self) -> None:
        if self._parser is None or self.is_whole or self._fault:
            return
        status, fields = self._parser.get_status_code(), self._fields
        if status < 200:
            fields.clear()
            if status < 100:
                self._fault = f"the status {status}"
            return
        coding = fields.get("transfer-encoding", "")
        self._is_encoded = fields.get(
            "content-encoding", ""
        ).lower() not in _NOT_ENCODED or coding.lower() not in ("", "chunked")
        self.ends_with_connection = not coding and "content-length" not in fields
        self.status, self.headers = status, fields
        self._wake()

    def on_body(self, data: bytes) -> None:
        self._bytes_without_body = 0
        if self._is_encoded:
            self._fault = "it is compressed, which it was asked not to be"
        if not self._fault and not self.is_whole:
            self._pieces.append(data)
            self.held_bytes += len(data)
            if self._waiter is not None:
                self._wake()

    def on_message_complete(self) -> None:
        if self.status and not self.is_whole and self._parser is not None:
            self.is_whole = True
            self.keeps_connection = self._parser.should_keep_alive()

    def _news(self, connection: AnswerSource, deadline: float) -> asyncio.Future[None]:
        self._waiter = connection.loop.create_future()
        connection.expect_by(deadline)
        return self._waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
