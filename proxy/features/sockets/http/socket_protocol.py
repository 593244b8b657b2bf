"""The protocol of an open WebSocket: uvicorn's own, without compression, and with this server's limits.

The HTTP protocol of the connection hands the transport over when a handler accepts the socket. Until then,
a handshake is a GET like any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import CloseCode, Frame
from websockets.protocol import OPEN
from websockets.server import ServerProtocol as Frames

from proxy.features.sockets.http.frame_pace import FramePace
from proxy.http.connection import nothing_to_do
from proxy.http.kernel_buffer import buffer_little, drop_unsent, tcp_info
from proxy.http.open_connections import OpenConnections
from proxy.http.reader_watch import ReaderWatch

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveEvent

MESSAGE_BYTES, MESSAGE_FRAGMENTS = 128 * 1024, 4096
FRAMES_PER_S, _BURST_S = 400, 5.0
"""A client that has sent no frame for `_BURST_S` may send 2,000 at once."""

_READ_BYTES = 16 * 1024
"""The kernel's buffer of a client's messages. What is beyond it waits at the client."""
_UNSENT_BYTES = 64 * 1024
"""While this many bytes wait to be sent, such as pongs, no message is read."""
_CLOSE_TIMEOUT_S, _LINGER_S, _LEAST_PONG_TIMEOUT_S = 3.0, 1.0, 20.0


class _CountedFrames(Frames):
    """Counts the bytes that it writes, and those of the connection before the handshake."""

    written_bytes = 0

    def data_to_send(self) -> list[bytes]:
        pieces = super().data_to_send()
        self.written_bytes += sum(map(len, pieces))
        return pieces


class SocketProtocol(WebSocketsSansIOProtocol):
    """A WebSocket after its handshake. It is the `WatchedReader` of its client, and a `Successor`.

    `on_gone` is called once, when the client closes the socket or is lost. At that moment, `lost_tcp_info`
    gets the `tcp_info`, and `lost_written_bytes` the number of bytes that were written to the connection.
    `on_leave` is called when the server begins to end.
    """

    conn: _CountedFrames
    stall_s: float
    least_bytes_per_s: float
    open_connections: OpenConnections | None = None

    def __init__(
        self, config: Config, state: ServerState, bytes_before: int, account: str, pace: FramePace
    ) -> None:
        super().__init__(config, state, {})
        self.conn = _CountedFrames(state=OPEN, max_size=MESSAGE_BYTES)
        self.conn.written_bytes = bytes_before
        self.handshake_initiated = self.handshake_complete = True
        self.is_gone = False
        self.on_gone: Callable[[], None] = nothing_to_do
        self.on_leave: Callable[[], None] = nothing_to_do
        self.lost_tcp_info, self.lost_written_bytes = b"", 0
        self.account, self.pace_key = account, object()
        self._pace = pace
        self._unread_bytes = bytearray()
        self._is_waiting = False  # for `_next_frame_s`, or for a turn of the pace
        self._frames_read = 0
        self._received_s = 0.0
        self._next_frame_s = 0.0  # the earliest moment to read the next frame
        self._watch = ReaderWatch(self)

    def continue_on(self, transport: asyncio.Transport, early_data: bytearray, *, is_behind: bool) -> None:
        self.connection_made(transport)
        transport.set_protocol(self)
        buffer_little(transport, read_bytes=_READ_BYTES)
        self.ping_timeout = max(_LEAST_PONG_TIMEOUT_S, self.stall_s)
        self.start_keepalive()
        self._unread_bytes += early_data
        self.loop.call_soon(self.read_on)
        if is_behind:
            self.pause_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.open_connections is not None:
            self.open_connections.remove_connection(self)
        self._watch.close()
        self._note_lost()
        # The garbage collector may come late for a closed socket.
        self._unread_bytes.clear()
        super().connection_lost(exc)

    def keepalive_timeout(self) -> None:
        """Close for a ping without an answer, unless the answer may wait behind something else."""
        if self.read_paused or self.count_unsent() or self._received_s > self.ping_sent_at:
            self.pong_timer = None
            self.schedule_ping()
        else:
            super().keepalive_timeout()

    def _note_lost(self) -> None:
        if not self.is_gone:
            self.is_gone = True
            self.lost_tcp_info = tcp_info(self.transport)
            self.lost_written_bytes = self.conn.written_bytes
            self.on_gone()

    def eof_received(self) -> None:
        self._note_lost()

    def data_received(self, data: bytes) -> None:
        self._received_s = self.loop.time()
        self._unread_bytes += data
        self.read_on()

    def read_on(self) -> None:
        """Read what has come, as far as the handler takes it and the pace allows it."""
        while self._unread_bytes and not self._is_waiting and self._has_room():
            wait_s = self._next_frame_s - self.loop.time()
            if wait_s > 0:
                self._is_waiting = True
                self.loop.call_later(wait_s, self._end_wait)
            else:
                self._is_waiting = not self._pace.read_or_wait(self)
        is_paused = bool(self._unread_bytes) or not self._has_room()
        if is_paused != self.read_paused and not self.transport.is_closing():
            self.read_paused = is_paused
            (self.transport.pause_reading if is_paused else self.transport.resume_reading)()

    def read_some(self, most_bytes: int) -> int:
        self._is_waiting = False
        if self.conn.parser_exc is not None or self.is_gone:
            self._unread_bytes.clear()
            return 1
        data = bytes(self._unread_bytes[:most_bytes])
        del self._unread_bytes[:most_bytes]
        super().data_received(data)
        frames, self._frames_read = max(1, self._frames_read), 0
        self._next_frame_s = max(self._next_frame_s, self.loop.time() - _BURST_S) + frames / FRAMES_PER_S
        return frames

    def _end_wait(self) -> None:
        self._is_waiting = False
        self.read_on()

    def _has_room(self) -> bool:
        return (self.queue.empty() or self.close_sent) and self.count_unsent() < _UNSENT_BYTES

    async def receive(self) -> ASGIReceiveEvent:
        if not self.queue.empty():
            # Of many short messages that came at once, one is handled in each turn of the loop.
            await asyncio.sleep(0)
        message = await self.queue.get()
        self.read_on()
        return message

    def handle_events(self) -> None:
        self._frames_read += len(self.conn.events)
        super().handle_events()

    def send_receive_event_to_app(self) -> None:
        # uvicorn would pause reading here, which `read_on` decides, and log a traceback for a wrong text.
        data, self.frames = b"".join(self.frames), []
        if self.close_sent:
            return
        if self.curr_msg_data_type == "bytes":
            self.queue.put_nowait({"type": "websocket.receive", "bytes": data})
            return
        try:
            self.queue.put_nowait({"type": "websocket.receive", "text": data.decode()})
        except UnicodeDecodeError:
            self.conn.fail(CloseCode.INVALID_DATA)  # perhaps the client's close came in the same bytes
            self.handle_parser_exception()

    def handle_ping(self) -> None:
        if not self.close_sent:
            super().handle_ping()

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) < MESSAGE_FRAGMENTS:
            super().handle_cont(event)
        elif not self.close_sent:
            self.conn.fail(CloseCode.MESSAGE_TOO_BIG, f"over {MESSAGE_FRAGMENTS} fragments")
            self.handle_parser_exception()

    def handle_close(self, event: Frame) -> None:
        self._note_lost()
        super().handle_close(event)

    def handle_parser_exception(self) -> None:
        """Tell the client what was wrong. A client that still sends would lose a close at once."""
        self._note_lost()
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.write_eof()
        self.close_timer = self.loop.call_later(_LINGER_S, self.transport.close)

    def shutdown(self) -> None:
        self.on_leave()

    def write_message(self, data: str | bytes) -> bool:
        """Write a message, unless the socket is closing."""
        if self.close_sent or self.transport.is_closing():
            return False
        if isinstance(data, str):
            self.conn.send_text(data.encode())
        else:
            self.conn.send_binary(data)
        self.transport.write(b"".join(self.conn.data_to_send()))
        return True

    def begin_close(self, code: int, reason: str) -> bool:
        """Begin to close, unless the socket is closing. The client has a moment to answer."""
        if self.close_sent or self.transport.is_closing():
            return False
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.close_timer = self.loop.call_later(_CLOSE_TIMEOUT_S, self.transport.close)
        self.read_on()
        return True

    def pause_writing(self) -> None:
        super().pause_writing()
        if not self._watch.is_on:
            self._watch.start_watch()

    def resume_writing(self) -> None:
        self._watch.end_watch()
        super().resume_writing()
        self.read_on()

    def count_unsent(self) -> int:
        return self.transport.get_write_buffer_size()

    def count_taken(self) -> int:
        return self.conn.written_bytes - self.count_unsent()

    def cut_off(self) -> None:
        drop_unsent(self.transport)
        self.transport.abort()
