"""One HTTP/1.1 connection to a provider: idle, or with one answer on its way, which is parsed as it comes
and held until it is read.

While more is held than a reader needs, the connection does not read. It has one timer, which is moved only
when it fires.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from itertools import chain
from typing import Protocol, cast

import httptools

from proxy.engines.http.http1_request import Origin
from speech_engine import EngineError, EngineFailed, EngineTimeout
from speech_engine.http import MOST_READ_BYTES

_IDLE_S = 15.0
"""Shorter than the idle time of servers: a connection that closes under a request costs that request."""
_MOST_HELD_BYTES = 256 * 1024
_TICK_S = 0.001
"""A timer of the event loop may fire this much too early."""
_MOST_HEAD_BYTES = 64 * 1024
"""The limit of all headers together, and of the other bytes that are no body: chunk extensions, trailers,
1xx answers."""
_MOST_HEADERS = 256
_LEAST_BYTES, _LEAST_READ_BYTES = 64, 1024 * 1024
"""The bytes that must come within the time of a silence: of a stream, and of an answer that is read whole.
One byte a second is a silence. The comments of a provider that still works are none."""
_NOT_ENCODED = ("", "identity")


class Http1Answer:
    """A `speech_engine.HttpAnswer`. It stays readable when its connection serves the next request."""

    def __init__(self, connection: Http1Connection, silence_s: float) -> None:
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.held_bytes = 0
        self.is_whole = False
        self.is_untouched = True  # no byte of it has come
        self.keeps_connection = False  # after it, the connection can take a request
        self.ends_with_connection = False  # its length is not stated
        self._connection: Http1Connection | None = connection
        self._silence_s = silence_s
        self._silence_left_s, self._bytes_since_reset = silence_s, 0
        self._fields: dict[bytes, bytes] = {}
        # The parser calls this for each field, also of trailers. A method in Python would cost more.
        self.on_header = self._fields.__setitem__
        self._parser: httptools.HttpResponseParser | None = _parser_for(self)
        self._head = b""
        self._is_first_head = True
        self._bytes_without_body = 0
        self._is_encoded = False
        self._fault = ""
        self._error: EngineError | None = None
        self._pieces: list[bytes] = []
        self._waiter: asyncio.Future[None] | None = None

    @property
    def is_awaited(self) -> bool:
        return self._waiter is not None and not self._waiter.done()

    async def wait_for_head(self, deadline: float) -> None:
        """Raises EngineTimeout at `deadline`, EngineFailed if the connection ends before the status."""
        while not self.status and (connection := self._connection):
            self._waiter = connection.loop.create_future()
            connection.expect_by(deadline)
            await self._waiter
        if self._error is not None and not self.status:
            raise self._error

    async def next_piece(self) -> bytes:
        if not self._pieces and (connection := self._connection):
            if self._bytes_since_reset >= _LEAST_BYTES:
                self._silence_left_s, self._bytes_since_reset = self._silence_s, 0
            # Only the time of this wait counts, because the reader itself may be slow.
            began = time.monotonic()
            while not self._pieces and self._connection is not None:
                self._waiter = connection.loop.create_future()
                connection.expect_by(began + self._silence_left_s)
                await self._waiter
            self._silence_left_s -= time.monotonic() - began
        if not self._pieces:
            if self._error is not None:
                raise self._error
            return b""
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._bytes_since_reset += self.held_bytes
        self._pieces.clear()
        self.held_bytes = 0
        if self._connection is not None:
            self._connection.resume()
        return data

    async def read(self, most_bytes: int = MOST_READ_BYTES) -> bytes:
        parts, size, began = [], 0, time.monotonic()
        while piece := await self.next_piece():
            size += len(piece)
            if size > most_bytes:
                raise EngineFailed("The provider's answer is longer than any that makes sense.")
            if time.monotonic() - began > self._silence_s * (1 + size / _LEAST_READ_BYTES):
                raise EngineTimeout("The provider's answer comes too slowly.")
            parts.append(piece)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.abort("the request was given up")

    def feed(self, data: bytes) -> str:
        """Parse the received bytes. Returns the fault in them, or an empty text."""
        assert self._parser is not None
        self.is_untouched = False
        self._bytes_without_body += len(data)
        if not self.status:
            self._head += data
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
        """Note the end of the bytes. If the answer is not whole, `error` has the reason."""
        self._connection = self._parser = None
        self._error = error
        if self._waiter is not None:
            self._wake()

    # The parser calls the following methods.

    def on_message_begin(self) -> None:
        if self.is_whole:  # A second answer to one request: what comes next is unknown.
            self.keeps_connection = False

    def on_headers_complete(self) -> None:
        if self._parser is None or self.is_whole or self._fault:
            return
        status = self._parser.get_status_code()
        if status < 200:
            self._fields.clear()
            self._is_first_head = False
            if status < 100:
                self._fault = f"the status {status}"
            return
        fields = _headers(self._fields, self._head, self._is_first_head)
        self._head = b""
        if fields is None:
            self._fault = "too many headers"
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

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


def _parser_for(receiver: object) -> httptools.HttpResponseParser:
    parser = httptools.HttpResponseParser(receiver)
    # Some servers send such bytes. They are harmless with one request on a connection.
    parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True)
    return parser


def _headers(fields: Mapping[bytes, bytes], head: bytes, is_first_head: bool) -> dict[str, str] | None:
    """Return the headers by their names in small letters, or None for too many. If a field comes twice, the
    last value counts. A head is not the first one if the head of a 1xx answer is before it."""
    end = head.find(b"\r\n\r\n")
    pairs: Collection[tuple[bytes, bytes]] = fields.items()
    # Each line but the first has one field, unless a field came twice, or the head has another form.
    if not is_first_head or end < 0 or head.count(b"\n", 0, end) != len(fields):
        pairs = _FieldsInOrder.read(head)
    if len(pairs) > _MOST_HEADERS or sum(map(len, chain.from_iterable(pairs))) > _MOST_HEAD_BYTES:
        return None
    headers: dict[str, str] = {}
    for name, value in pairs:
        headers[name.decode("latin-1").lower()] = value.decode("latin-1").strip(" \t")
    return headers


class _FieldsInOrder:
    """The fields of the last head in some bytes, in their order."""

    def __init__(self) -> None:
        self.pairs: list[tuple[bytes, bytes]] = []
        self._is_whole = False
        self._parser = _parser_for(self)

    @classmethod
    def read(cls, data: bytes) -> list[tuple[bytes, bytes]]:
        fields = cls()
        # What comes after the head was judged by the first parser, or will be.
        with suppress(httptools.HttpParserError, httptools.HttpParserUpgrade):
            fields._parser.feed_data(data)
        return fields.pairs

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_whole:  # else a trailer
            self.pairs.append((name, value))

    def on_headers_complete(self) -> None:
        if self._parser.get_status_code() < 200:
            self.pairs.clear()
        else:
            self._is_whole = True


class ConnectionOwner(Protocol):
    """The pool, as its connections see it."""

    def end_exchange(self, connection: Http1Connection) -> None:
        """Called once for each `begin`: the connection is idle if it is still open."""
        ...

    def forget_idle(self, connection: Http1Connection) -> None: ...

    def forget(self, connection: Http1Connection) -> None:
        """Its socket is closed."""
        ...


class Http1Connection(asyncio.Protocol):
    """One connection: idle, or with one answer under way."""

    def __init__(self, loop: asyncio.AbstractEventLoop, owner: ConnectionOwner, origin: Origin) -> None:
        self.loop = loop
        self.origin = origin
        self.is_open = False
        self.is_fresh = True  # no request has ended on it
        self.idle_since = 0.0
        self.closed: asyncio.Future[None] = loop.create_future()
        self._owner = owner
        self._transport: asyncio.Transport
        self._answer: Http1Answer | None = None
        self._is_paused = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = self._deadline = 0.0

    def begin(self, request: bytes, silence_s: float) -> Http1Answer:
        answer = self._answer = Http1Answer(self, silence_s)
        self._transport.write(request)
        return answer

    def rest(self) -> None:
        """Close in a while, unless a request comes before."""
        self.is_fresh = False
        self.idle_since = time.monotonic()
        self.expect_by(self.idle_since + _IDLE_S)

    def expect_by(self, deadline: float) -> None:
        """Expect progress by then. A timer that fires too early is moved, so that few are ever made."""
        self._deadline = deadline
        if self._timer is None or deadline < self._timer_at:
            self._set_timer(deadline)

    def resume(self) -> None:
        if self._is_paused and self.is_open:
            self._is_paused = False
            self._transport.resume_reading()

    def abort(self, reason: str) -> None:
        """Close the socket now."""
        self._break_off(EngineFailed(self._reason(reason)))

    # The event loop calls the following methods.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass.
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:
            self.abort("it spoke without being asked")
        elif fault := answer.feed(data):
            self.abort(fault)
        elif answer.is_whole:
            self._end_answer(answer)
        elif answer.held_bytes > _MOST_HELD_BYTES and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def eof_received(self) -> None:
        self._lose("the connection ended")

    def connection_lost(self, error: Exception | None) -> None:
        if error is None:
            self._lose("the connection ended")
        else:
            self.abort(type(error).__name__)
        self._owner.forget(self)
        if not self.closed.done():
            self.closed.set_result(None)

    def _lose(self, reason: str) -> None:
        answer = self._answer
        if answer is not None and answer.ends_with_connection:
            answer.is_whole = True
            self._end_answer(answer)
        self.abort(reason)

    def _end_answer(self, answer: Http1Answer) -> None:
        self._answer = None
        answer.end(None)
        if not answer.keeps_connection or self._transport.get_write_buffer_size():
            self.abort("the answer was its last")
        self._owner.end_exchange(self)

    def _break_off(self, error: EngineError) -> None:
        if not self.is_open:
            return
        self.is_open = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._transport.abort()
        answer, self._answer = self._answer, None
        if answer is None:
            self._owner.forget_idle(self)
        else:
            answer.end(error)
            self._owner.end_exchange(self)

    def _reason(self, reason: str) -> str:
        if self._answer is not None and self._answer.status:
            return f"The provider's answer was cut off: {reason}."
        return f"The provider broke off: {reason}."

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self.loop.call_at(at, self._look_at_time)

    def _look_at_time(self) -> None:
        self._timer = None
        answer = self._answer
        if answer is not None and not answer.is_awaited:
            return
        if self.loop.time() < self._deadline - _TICK_S:
            self._set_timer(self._deadline)
        elif answer is not None and answer.status:
            self._break_off(EngineTimeout("The provider fell silent in the middle of its answer."))
        else:
            self._break_off(EngineTimeout("The provider did not answer in time."))
