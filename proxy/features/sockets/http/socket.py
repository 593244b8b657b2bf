"""A WebSocket, as its handler sees it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, NoReturn

from starlette.datastructures import QueryParams
from starlette.types import Scope
from websockets.utils import accept_key

from proxy.access.callers import Caller, caller_of
from proxy.errors import ClientLeft, RequestFailed, ServerBusy, UpgradeRequired
from proxy.features.sockets.http.frame_pace import FramePace
from proxy.features.sockets.http.socket_protocol import SocketProtocol
from proxy.http.connection import PEER, Peer, nothing_to_do
from proxy.http.kernel_buffer import share_sent
from proxy.http.upgrade import UPGRADE, Upgrade
from proxy.speech.deadline import MovingTimer, StoppableBlock

SUBPROTOCOL = b"voxgate.v1"
IDLE_S = 180.0
UTTERANCE_FRAMES = 10
"""The beginning of an utterance costs a worker about as much as this many frames."""
LEAVING_MESSAGE = "This server is about to end. Connect once more."

_NOT_ACCEPTED: Any = None
_HANDSHAKE_KEY = re.compile(r"[0-9A-Za-z+/]{22}==")


class ClientSocket(StoppableBlock):
    """A WebSocket of a caller. If it is lost, or the server closes it, the task of its handler is cancelled.

    Before `accept`, a failure is an answer over HTTP. If the server leaves, a silent socket is closed at
    once, and one that speaks at the end of its speech.
    """

    _protocol: SocketProtocol = _NOT_ACCEPTED

    def __init__(self, scope: Scope, pace: FramePace) -> None:
        """Raises UpgradeRequired if the request is no good handshake."""
        extensions, self.scope = scope.get("extensions", {}), scope
        is_good = self.header(b"sec-websocket-version") == "13" and _HANDSHAKE_KEY.fullmatch(
            self._handshake_key
        )
        if UPGRADE not in extensions or not is_good:
            raise UpgradeRequired(
                "Only a WebSocket client can connect here, with version 13. A proxy in between must pass "
                "the headers 'Upgrade' and 'Connection' on.",
                headers={"upgrade": "websocket", "sec-websocket-version": "13"},
            )
        self._peer: Peer = extensions[PEER]
        self._upgrade: Upgrade = extensions[UPGRADE]
        self.id: str = scope["state"]["request_id"]
        self.caller: Caller = caller_of(scope)
        self.query: Mapping[str, str] = QueryParams(scope["query_string"])
        self.path_params: Mapping[str, str] = scope["path_params"]
        self.is_open = self.is_leaving = self.is_gone = False
        self.last_message_s = 0.0
        self._pace = pace
        self._speaking_count = 0
        self._was_cut_short = False
        self._idle_timer = _IdleTimer(self)

    def __repr__(self) -> str:
        state = "gone" if self.is_gone else "silent" if self.is_quiet else "busy"
        return f"<ClientSocket {self.id} {state}>"

    def header(self, name: bytes) -> str:
        """Return the value of a header, "" without it. If it came more than once, its values are joined."""
        return ", ".join([value.decode("latin-1") for each, value in self.scope["headers"] if each == name])

    @property
    def is_quiet(self) -> bool:
        return self.is_open and not self._speaking_count

    async def accept(self) -> None:
        """Answer the handshake. Raises ServerBusy if the server leaves."""
        if self._peer.is_gone:
            raise ClientLeft
        if self.is_leaving or self._peer.is_ending:
            raise ServerBusy(LEAVING_MESSAGE)
        answer = accept_key(self._handshake_key).encode()
        headers = [(b"sec-websocket-accept", answer), (b"x-request-id", self.id.encode())]
        if SUBPROTOCOL in re.split(rb"[,\s]+", self.header(b"sec-websocket-protocol").encode("latin-1")):
            headers.append((b"sec-websocket-protocol", SUBPROTOCOL))
        make = partial(SocketProtocol, account=self.caller.account, pace=self._pace)
        self._protocol = self._upgrade(headers, make)
        self._protocol.on_gone, self._protocol.on_leave = self._note_lost, self.leave_when_silent
        self.scope["state"]["exchange"].status = 101
        self.is_open = True
        self._note_message()

    async def receive(self) -> str | bytes:
        """Return the next message."""
        message = await self._protocol.receive()
        self._note_message()
        # At the end of the connection comes a message without data, and the cancellation.
        data = message.get("text", message.get("bytes"))
        return data if isinstance(data, str | bytes) else await _wait_for_the_end()

    def count_utterance(self) -> None:
        """Count an utterance that begins in the pace of its account and of this socket."""
        self._pace.add_work(self._protocol, UTTERANCE_FRAMES)

    async def send(self, data: str | bytes) -> None:
        """Send a message, and wait until the kernel has it. This never returns if the socket is closed: the
        handler is being cancelled."""
        is_written = not self.is_gone and self._protocol.write_message(data)
        if is_written:
            await self._protocol.writable.wait()
        if not is_written or self.is_gone:
            await _wait_for_the_end()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the socket with a code of RFC 6455. The handler must return after that."""
        self._protocol.begin_close(code, reason)

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """Keep the socket open while the block runs, even if it is idle or the server is about to end."""
        self._speaking_count += 1
        self._idle_timer.rest()
        try:
            yield
        finally:
            self._speaking_count -= 1
            self._note_message()
            if self.is_leaving and not self._speaking_count:
                # In the next turn, so that it does not cancel the task which runs this.
                asyncio.get_running_loop().call_soon(self.end_by_server, 1001, LEAVING_MESSAGE)

    def count_written(self) -> int:
        """Return the number of bytes that were written to the connection until now."""
        return self._protocol.conn.written_bytes

    def share_sent(self, bytes_before: int) -> float | None:
        """Return which share of the bytes has left this machine, of those written after the first
        `bytes_before` ones. None while the client is connected."""
        if not self._protocol.is_gone:
            return None
        written_bytes = self._protocol.lost_written_bytes - bytes_before
        return share_sent(self._protocol.lost_tcp_info, bytes_before, written_bytes) if written_bytes else 0.0

    def leave_when_silent(self) -> None:
        """Close the socket as soon as it does not speak, because the server leaves."""
        self.is_leaving = True
        if self.is_quiet:
            self.end_by_server(1001, LEAVING_MESSAGE)

    def end_idle(self) -> None:
        self.end_by_server(1000, f"No message came within {IDLE_S:g} s.")

    def end_by_server(self, code: int, reason: str) -> None:
        """Close the socket while the handler runs, and cancel the handler."""
        if self._protocol.begin_close(code, reason):
            self._note_lost()

    async def run_handler(self, handle: Callable[[ClientSocket], Awaitable[None]]) -> None:
        """Run the handler until it returns or the socket is lost. A failure after `accept` closes it."""
        code, reason, exchange = 1011, "", self.scope["state"]["exchange"]
        self._peer.on_gone = self._note_lost
        try:
            with self:
                await handle(self)
            code = 1000
        except TimeoutError:
            if not self.is_gone:
                raise
            code = 1000
            raise ClientLeft from None
        except RequestFailed as failure:
            if not self.is_open:
                raise
            exchange.code = reason = failure.code
            code = 1008 if failure.status < 500 else 1011
        except asyncio.CancelledError:
            code, reason = 1001, LEAVING_MESSAGE
            raise
        finally:
            self._idle_timer.close()
            self._peer.on_gone = None
            if self.is_open:
                self._protocol.on_gone = self._protocol.on_leave = nothing_to_do
                self._protocol.begin_close(code, reason)
                exchange.is_complete = code == 1000 and not self._was_cut_short

    @property
    def _handshake_key(self) -> str:
        return self.header(b"sec-websocket-key")

    def _note_lost(self) -> None:
        self.is_gone = True
        self._was_cut_short = self._speaking_count > 0
        self.expire()

    def _note_message(self) -> None:
        self.last_message_s = asyncio.get_running_loop().time()
        if not self._speaking_count:
            self._idle_timer.expire_at(self.last_message_s + IDLE_S)


class SocketEndpoint(NamedTuple):
    """A path on which sockets open. The handler accepts the socket, and returns when it is over."""

    path: str
    handle: Callable[[ClientSocket], Awaitable[None]]
    name: str
    summary: str = ""


class _IdleTimer(MovingTimer):
    far_s = IDLE_S

    def __init__(self, socket: ClientSocket) -> None:
        self._socket = socket

    def expire(self) -> None:
        self._socket.end_idle()


async def _wait_for_the_end() -> NoReturn:
    await asyncio.Event().wait()
    raise AssertionError
