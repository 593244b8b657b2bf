"""The protocol of an open WebSocket: uvicorn's own, without compression, and with this server's limits.

The HTTP protocol of the connection hands the transport over when a handler accepts the socket. Until then,
a handshake is a GET like any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import OPEN
from websockets.server import ServerProtocol as Frames

from proxy.http.connection import RawHeader
from proxy.http.kernel_buffer import buffer_little, drop_unsent, tcp_info
from proxy.http.open_connections import OpenConnections
from proxy.http.reader_watch import ReaderWatch

SOCKET_OFFER = "voxgate.socket"
"""The ASGI extension of a GET that may become a socket: a `Swap`."""
MESSAGE_BYTES = 128 * 1024

_LINGER_S = 1.0


def nothing_to_do() -> None:
    """Do nothing for a socket without an owner."""


class _CountedFrames(Frames):
    """A connection that counts the bytes that it writes."""

    written = 0

    def data_to_send(self) -> list[bytes]:
        pieces = super().data_to_send()
        self.written += sum(map(len, pieces))
        return pieces


class SocketProtocol(WebSocketsSansIOProtocol):
    """A WebSocket after its handshake. It is the `WatchedReader` of its client, and an `OpenConnection`.

    `on_gone` is called once, when the client closes the socket or is lost.
    """

    stall_s: float
    least_bytes_per_s: float
    places: OpenConnections | None = None

    def __init__(self, *args: Any, written: int) -> None:
        super().__init__(*args)
        self.conn = _CountedFrames(state=OPEN, max_size=MESSAGE_BYTES)
        self.conn.written = written
        self.handshake_initiated = self.handshake_complete = True
        self.is_gone = False
        self.on_gone: Callable[[], None] = nothing_to_do
        self.on_leave: Callable[[], None] = nothing_to_do
        self.info = b""
        self._watch = ReaderWatch(self)

    @property
    def written(self) -> int:
        """The bytes that were written to the connection, with those before the handshake."""
        written: int = self.conn.written  # type: ignore[attr-defined]  # it is a _CountedFrames
        return written

    def open(self, transport: asyncio.Transport, held: bytes) -> None:
        """Take over a connection, and the bytes that came behind the handshake."""
        self.connection_made(transport)
        transport.set_protocol(self)
        buffer_little(transport)
        self.start_keepalive()
        if held:
            self.loop.call_soon(self.data_received, held)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.places is not None:
            self.places.leave(self)
        self._watch.close()
        self._lose()
        super().connection_lost(exc)

    def _lose(self) -> None:
        if not self.is_gone:
            self.is_gone = True
            self.info = tcp_info(self.transport)
            self.on_gone()

    def data_received(self, data: bytes) -> None:
        if self.conn.parser_exc is None:
            super().data_received(data)

    def handle_close(self, event: Any) -> None:
        self._lose()
        super().handle_close(event)

    def handle_parser_exception(self) -> None:
        """Tell the client what was wrong. A client that still sends would lose a close at once."""
        self._lose()
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.end_soon()

    def end_soon(self) -> None:
        self.close_sent = True
        self.transport.write_eof()
        self.close_timer = self.loop.call_later(_LINGER_S, self.transport.close)

    def shutdown(self) -> None:
        self.on_leave()

    def write(self, data: str | bytes) -> None:
        if isinstance(data, str):
            self.conn.send_text(data.encode())
        else:
            self.conn.send_binary(data)
        self.transport.write(b"".join(self.conn.data_to_send()))

    async def drain(self) -> None:
        """Wait until the kernel has all written bytes, or the client is gone."""
        await self.writable.wait()

    def close(self, code: int, reason: str) -> None:
        """Begin to close. The client has `close_timeout` to answer."""
        if self.close_sent or self.transport.is_closing():
            return
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.close)

    def pause_writing(self) -> None:
        super().pause_writing()
        if not self._watch.is_on:
            self._watch.start_watch()

    def resume_writing(self) -> None:
        self._watch.end()
        super().resume_writing()

    def count_unsent(self) -> int:
        return self.transport.get_write_buffer_size()

    def count_taken(self) -> int:
        return self.written - self.count_unsent()

    def cut_off(self) -> None:
        drop_unsent(self.transport)
        self.transport.abort()


Swap = Callable[[list[RawHeader]], SocketProtocol]
"""Answers 101 with these headers, and returns the protocol of the socket."""
