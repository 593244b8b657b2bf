"""uvicorn's HTTP protocol with additions that need the transport, which only the protocol has.

It is the `Peer` of its requests: it tells them that the client has gone, or takes bytes too slowly. When a
client has gone, the kernel says how much of the answer has left this machine. A client that hardly reads is
cut off: an application can stop sending, but bytes that are already buffered keep a stalled connection and
its memory for as long as the client likes.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from typing import Any

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from proxy.config.sections import Server
from proxy.errors import InvalidRequest
from proxy.http.answer_cycle import AnswerCycle
from proxy.http.connection import PEER, RawHeader, nothing_to_do
from proxy.http.kernel_buffer import buffer_little, drop_unsent, share_sent, tcp_info
from proxy.http.open_connections import OpenConnections
from proxy.http.reader_watch import ReaderWatch
from proxy.http.request_protocol import RequestProtocol
from proxy.http.upgrade import GIVE_AWAY, UPGRADE, MakeSuccessor, S

_CREDENTIALS = struct.Struct("=iII")  # Linux's `struct ucred`: process, user, group
_UPGRADE_FIELDS = [(b"upgrade", b"websocket"), (b"connection", b"Upgrade")]


class ServerProtocol(RequestProtocol):
    """A `Peer`, and the `WatchedReader` of its answers."""

    takes_first_body = True
    stall_s: float
    least_bytes_per_s: float

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_gone = False
        self.on_gone: Callable[[], None] | None = None
        self.is_ending = False
        self.sent_share = 1.0
        self._is_followed_closely = False
        self._answer: AnswerCycle | None = None
        self._earlier_answers_bytes = 0
        self._watch = ReaderWatch(self)

    @property
    def is_behind(self) -> bool:
        return self.flow.write_paused

    async def drain(self) -> None:
        await self.flow.drain()

    def follow_closely(self) -> None:
        # A recorded answer goes on without its client.
        if self._is_followed_closely or self.transport.is_closing():
            return
        self._is_followed_closely = True
        buffer_little(self.transport)

    def pause_writing(self) -> None:
        super().pause_writing()
        if not self._watch.is_on:
            self._watch.start_watch()

    def resume_writing(self) -> None:
        self._watch.end_watch()
        super().resume_writing()
        self._watch_the_rest()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        # The next answer adds bytes to the buffer, which must not count as bytes that the client leaves
        # untaken.
        if self._watch.is_on and not self.flow.write_paused:
            self._watch.end_uncounted()
        cycle.scope["extensions"] = {PEER: self}  # type: ignore[dict-item]  # an object, not a dict
        # uvicorn has no setting for the class of its cycles. This one needs nothing before its answer.
        cycle.__class__ = AnswerCycle
        assert isinstance(cycle, AnswerCycle)
        if self._answer is not None:
            self._earlier_answers_bytes += self._answer.continue_bytes + self._answer.answer_bytes
        self._answer = cycle
        task = self.loop.create_task(cycle.run_asgi(app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def offer_socket(self) -> None:
        offers: dict[str, object] = {UPGRADE: self.hand_over, GIVE_AWAY: self.give_away}
        self.scope["extensions"].update(offers)  # type: ignore[arg-type]  # no dicts

    def hand_over(self, headers: list[RawHeader], make: MakeSuccessor[S]) -> S:
        """Answer 101 to the running request, and hand the connection over: see `Upgrade`."""
        assert self._socket_bytes is not None, "it offers a socket"
        self._phase_timer.close()
        self._watch.close()
        self.on_gone = None
        fields = [*self.server_state.default_headers, *_UPGRADE_FIELDS, *headers]
        lines = [STATUS_LINE[101], *(b"%b: %b\r\n" % field for field in fields), b"\r\n"]
        self.transport.write(head := b"".join(lines))
        written_bytes = self.count_taken() + self.count_unsent() + len(head)
        protocol = make(self.config, self.server_state, written_bytes)
        protocol.stall_s, protocol.least_bytes_per_s = self.stall_s, self.least_bytes_per_s
        protocol.open_connections = self.open_connections
        self.connections.discard(self)
        if self.open_connections is not None:
            self.open_connections.replace_connection(self, protocol)
        self.flow.resume_reading()
        protocol.continue_on(self.transport, self._socket_bytes, is_behind=self.is_behind)
        self._end_cycle()
        return protocol

    def give_away(self, send: Callable[[int], bool]) -> bool:
        """Give the connection to another process, see `GiveAway`. It does not end with our copy of it."""
        if self._socket_bytes:
            raise InvalidRequest(
                "Nothing may follow this request before it is answered.", code="invalid_http"
            )
        if self.is_ending or self.transport.is_closing() or self.count_unsent():
            return False
        self.flow.pause_reading()
        descriptor = os.dup(self.transport.get_extra_info("socket").fileno())
        try:
            is_sent = send(descriptor)
        finally:
            os.close(descriptor)
        if not is_sent:
            self.flow.resume_reading()
            return False
        self._phase_timer.close()
        self.on_gone = None
        self._end_cycle()
        self.transport.close()
        return True

    def _end_cycle(self) -> None:
        """Note that another protocol goes on. The cycle stays, and nothing else of the request's protocol."""
        self.cycle.response_started = self.cycle.response_complete = True
        self.cycle.scope["extensions"] = {}
        self.cycle.on_response = nothing_to_do

    def on_response_complete(self) -> None:
        """Watch the rest of the answer: the application has ended, and no longer sees that the client
        stalls."""
        super().on_response_complete()
        if self.transport.get_write_buffer_size():
            self._watch_the_rest()

    def shutdown(self) -> None:
        self.is_ending = True
        super().shutdown()

    def count_unsent(self) -> int:
        return self.transport.get_write_buffer_size()

    def count_taken(self) -> int:
        answer = self._answer
        answer_bytes = answer.continue_bytes + answer.answer_bytes if answer is not None else 0
        return self._earlier_answers_bytes + answer_bytes - self.count_unsent()

    def cut_off(self) -> None:
        """End the connection now. The kernel must not send the rest of its buffer: those bytes are not
        charged."""
        drop_unsent(self.transport)
        super().cut_off()

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.close()
        self.sent_share = self._compute_sent_share()
        super().connection_lost(exc)
        self.is_gone = True
        if self.on_gone is not None:
            self.on_gone()

    def _compute_sent_share(self) -> float:
        answer = self._answer
        if answer is None or not answer.answer_bytes:
            return 0.0
        before, answer_bytes = self._earlier_answers_bytes + answer.continue_bytes, answer.answer_bytes
        return share_sent(tcp_info(self.transport), before, answer_bytes)

    def _watch_the_rest(self) -> None:
        # During another answer there is no watch: the bytes of that answer would count as untaken.
        if not self._watch.is_on and self.cycle.response_complete and self.count_unsent():
            self._watch.start_watch()


class OwnersProtocol(ServerProtocol):
    """The protocol of control.sock: for processes of the server's own user, and of root.

    The modes of the folder and the socket allow no others. This check also holds after a mode was changed, or
    a file descriptor was passed on.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        connection: socket.socket = transport.get_extra_info("socket")
        if connection.family != socket.AF_UNIX:
            return
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        _pid, user, _group = _CREDENTIALS.unpack(credentials)
        if user not in (0, os.geteuid()):
            transport.abort()


def server_protocol(server: Server, connections: OpenConnections | None = None) -> type[ServerProtocol]:
    """Return a protocol with the limits of the configuration. Without `connections`, it is that of
    control.sock."""

    class LimitedProtocol(OwnersProtocol if connections is None else ServerProtocol):  # type: ignore[misc]
        stall_s = server.stall_s
        least_bytes_per_s = server.least_bytes_per_s
        open_connections = connections

    return LimitedProtocol
