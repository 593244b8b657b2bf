"""The incoming side of a connection: how large and how slow a request may be, and the answer to bytes that
are no HTTP.

Without these limits, a client that sends a byte now and then would hold a connection without end. One
`MovingTimer` serves a whole connection: each phase (idle, head, body) moves it. A refused request has no task
and reaches no endpoint. Answers that are under way go out before the refusal, and then the connection ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from proxy.errors import (
    HeadTooLarge,
    InvalidRequest,
    RateLimited,
    RequestFailed,
    RequestTimeout,
    ServerBusy,
)
from proxy.http.offered_body import body_parser, framing_head
from proxy.http.open_connections import HEALTH_PATHS, OpenConnections
from proxy.http.replies import refusal_bytes
from proxy.speech.deadline import MovingTimer

MOST_HEAD_BYTES = 32 * 1024
MOST_HEAD_FIELDS = 100
MOST_SENT_AHEAD = 64
"""The most requests of a connection that wait behind the running one."""

_MOST_LENGTH_DIGITS = 12
_LINGER_S = 1.0

_IDLE, _HEAD, _BODY = range(3)


class RequestProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits on requests."""

    head_s = 10.0
    """The time for a whole head, from its first byte. A new connection has the same time for that byte."""
    body_s = 30.0
    open_connections: OpenConnections | None = None
    """All connections of the port. If it is None, as for control.sock, their number has no limit."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.body_failure: RequestFailed | None = None
        self._phase_timer = _PhaseTimer(self._end_phase)
        self._body_within_s = self.body_s
        self._phase = _IDLE
        # The phase for which the timer was set. None: a message has begun since then.
        self._timed_phase: int | None = _IDLE
        # Bytes that are not parsed yet: of an incomplete head, or between two pieces of a body.
        self._unparsed_bytes = 0
        self._last_data_bytes = 0
        self._parse_failure: RequestFailed | None = None  # of the request that is being parsed
        self._delayed_refusal: RequestFailed | None = None  # goes out after the running answers
        self._ignores_input = False
        self._is_spare = False  # it may only request the HEALTH_PATHS
        # The result of `framing_head`, if the request offers another protocol.
        self._offered_framing = b""
        # The bytes behind a request that may become a WebSocket.
        self._socket_bytes: bytearray | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        if self.open_connections is not None:
            refusal = self.open_connections.add_or_refuse(self, self.client[0] if self.client else "")
            if refusal is not None:
                self._ignores_input = True
                self._write_refusal(refusal)
                transport.close()
                return
            self._is_spare = self.open_connections.is_spare(self)
        self._phase_timer.expire_in(self.head_s)

    def cut_off(self) -> None:
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.open_connections is not None:
            self.open_connections.remove_connection(self)
        self._phase_timer.close()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._ignores_input:
            return
        self._last_data_bytes = len(data)
        self._unparsed_bytes += self._last_data_bytes
        while data and (self._socket_bytes is None or not self._hold_bytes(data)):
            try:
                self.parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as upgrade:
                # The request offers another protocol. It is answered as HTTP, and the rest is its body.
                data = self._offered_framing + data[upgrade.args[0] :]
                if self._phase == _HEAD:
                    self._parse_failure = self._parse_failure or _no_http("it asks for a tunnel")
                    break
                if self._offered_framing:
                    self.parser, self._offered_framing = body_parser(self), b""
            except httptools.HttpParserError as error:
                self._parse_failure = self._parse_failure or _no_http(str(error))
                break
        if self._parse_failure is None and self._phase != _IDLE and self._unparsed_bytes > MOST_HEAD_BYTES:
            self._parse_failure = _too_large()
        if self._parse_failure is not None:
            self._refuse(self._parse_failure)
        elif self._phase != self._timed_phase and (self._phase != _IDLE or self.cycle.response_complete):
            # During an answer the timer runs without an effect. It is set again after the answer.
            self._set_timer()

    def on_message_begin(self) -> None:
        self._phase = _HEAD
        self._timed_phase = None
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._phase == _BODY:
            return  # Fields behind a body. The request is being answered, without them.
        name = name.lower()
        if name == b"content-length" and len(value) > _MOST_LENGTH_DIGITS:
            self._fail(
                InvalidRequest(
                    f"Invalid header 'Content-Length': it has more than {_MOST_LENGTH_DIGITS} digits.",
                    param="Content-Length",
                )
            )
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        may_be_long = self._unparsed_bytes > MOST_HEAD_BYTES or self._last_data_bytes > MOST_HEAD_BYTES
        if len(self.headers) > MOST_HEAD_FIELDS or (may_be_long and self._is_head_too_long()):
            self._fail(_too_large())
        if len(self.pipeline) >= MOST_SENT_AHEAD:
            self._fail(
                RateLimited(
                    f"More than {MOST_SENT_AHEAD} requests were sent ahead on one connection.",
                    retry_after_s=1.0,
                )
            )
        if self._is_spare and self.url.partition(b"?")[0] not in HEALTH_PATHS:
            self._fail(ServerBusy())
        super().on_headers_complete()
        if self.parser.should_upgrade():
            self._offered_framing = framing_head(self.headers)
            if self._offers_socket():
                self._socket_bytes = bytearray()
                self.offer_socket()
        is_last = self._is_spare or self._offered_framing or self._socket_bytes is not None
        if is_last or (self.open_connections is not None and self.open_connections.is_server_leaving):
            self.cycle.keep_alive = False
        self._phase = _BODY
        self._body_within_s = self.body_s
        self._unparsed_bytes = 0

    def allow_body(self, within_s: float) -> None:
        if self._phase == _BODY:
            self._body_within_s = within_s
            self._phase_timer.expire_in(within_s)

    def on_body(self, body: bytes) -> None:
        if self._phase != _BODY:
            return  # It follows the body of an offer, which is the last.
        self._unparsed_bytes = 0
        if not self.cycle.response_complete:
            self.cycle.body += body
            if len(self.cycle.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
            if getattr(self.cycle, "is_receiving", False):  # a cycle that waits for its turn has none
                self.cycle.message_event.set()

    def on_message_complete(self) -> None:
        if self._phase == _HEAD or self._offered_framing:
            return  # a head that was refused, or the head of an offer: its parser ends with it
        self._phase = _IDLE
        self._unparsed_bytes = 0
        if not self.cycle.response_complete:
            self.cycle.more_body = False
            if getattr(self.cycle, "is_receiving", False):
                self.cycle.message_event.set()

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
            if self.pipeline:
                return  # nothing more is read before these are answered
        if self.flow.read_paused:
            self.flow.resume_reading()
        if not self.cycle.response_complete:
            return  # it is the next one
        if self._delayed_refusal is not None:
            self._send_refusal(self._delayed_refusal)
        elif not self.cycle.keep_alive:
            self._linger()
        elif self._phase == _IDLE:
            self._phase_timer.expire_at(time.monotonic() + self.timeout_keep_alive)

    def offer_socket(self) -> None:
        """Let the application make a WebSocket of the connection."""

    def _offers_socket(self) -> bool:
        is_get = self.scope["method"] == "GET" and self.scope["http_version"] == "1.1"
        return (
            is_get and not self._offered_framing and not self.pipeline and self._get_upgrade() == b"websocket"
        )

    def _hold_bytes(self, data: bytes) -> bool:
        """Keep bytes behind a request that may become a WebSocket. Return False without such a request."""
        if self._socket_bytes is None:
            return False
        self._socket_bytes += data
        # If it becomes none, the connection must read on for a moment after the answer.
        self.cycle.more_body = True
        if len(self._socket_bytes) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        return True

    @property
    def _is_answering(self) -> bool:
        # Before the first request `cycle` is None, although uvicorn's types deny it.
        return bool(self.cycle) and not self.cycle.response_complete

    def _is_head_too_long(self) -> bool:
        fields = sum(len(name) + len(value) + 4 for name, value in self.headers)
        return len(self.url) + fields > MOST_HEAD_BYTES

    def _fail(self, failure: RequestFailed) -> None:
        self._parse_failure = failure
        raise failure

    def _set_timer(self) -> None:
        self._timed_phase = self._phase
        if self._phase == _HEAD:
            self._phase_timer.expire_in(self.head_s)
        elif self._phase == _BODY:
            self._phase_timer.expire_in(self._body_within_s)
        else:
            self._phase_timer.expire_in(self.timeout_keep_alive)

    def _end_phase(self) -> None:
        if self._ignores_input or self._phase == _IDLE:
            if not self._is_answering:
                self.transport.close()
        elif self._phase == _HEAD:
            if self._is_answering:
                # The client still reads its previous answer.
                self._phase_timer.expire_in(self.head_s)
            else:
                self._refuse(
                    RequestTimeout(f"The head of the request did not come within {self.head_s:g} s.")
                )
        elif self.flow.read_paused:
            self._phase_timer.expire_in(self._body_within_s)  # it is the server that does not read
        else:
            late = f"The body of the request did not come within {self._body_within_s:g} s."
            self._refuse(RequestTimeout(late))

    def _refuse(self, failure: RequestFailed) -> None:
        """Refuse the unfinished request, and all later bytes."""
        self._ignores_input = True
        if self._phase == _BODY:
            self._refuse_body(failure)
        elif self._is_answering:
            self._delayed_refusal = failure
            self._phase_timer.rest()
            self.flow.pause_reading()
        else:
            self._send_refusal(failure)

    def _refuse_body(self, failure: RequestFailed) -> None:
        """Refuse the body of a good head: the endpoint raises this failure when it reads the body."""
        if self.cycle.response_complete:
            self.transport.close()
            return
        self._phase_timer.rest()
        self.body_failure = failure
        self.cycle.keep_alive = False
        self.cycle.message_event.set()

    def _send_refusal(self, failure: RequestFailed) -> None:
        self._delayed_refusal = None
        self._write_refusal(failure)
        self._linger()

    def _write_refusal(self, failure: RequestFailed) -> None:
        if self.open_connections is not None:
            self.open_connections.metrics.count_refusal(failure.code)
        self.transport.write(refusal_bytes(failure, self.server_state.default_headers))

    def _linger(self) -> None:
        """End the connection, but not at once: a client that still sends would lose the answer."""
        self._ignores_input = True
        self.transport.write_eof()
        self.flow.resume_reading()
        self._phase_timer.expire_in(_LINGER_S)


class _PhaseTimer(MovingTimer):
    def __init__(self, on_end: Callable[[], None]) -> None:
        self._on_end = on_end

    def expire(self) -> None:
        self._on_end()


def _too_large() -> HeadTooLarge:
    return HeadTooLarge(
        f"The head of the request is larger than {MOST_HEAD_BYTES} bytes or has more than "
        f"{MOST_HEAD_FIELDS} fields."
    )


def _no_http(fault: str) -> InvalidRequest:
    return InvalidRequest(
        f"The request is no valid HTTP: {fault}. In a URL, write a blank as %20, and a letter that is not "
        "ASCII by its UTF-8 bytes, such as %C3%A9 for é.",
        code="invalid_http",
    )
