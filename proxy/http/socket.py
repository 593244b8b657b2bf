"""An open WebSocket, as its handler sees it."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from binascii import Error as NoBase64
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple, NoReturn

from starlette.datastructures import QueryParams
from starlette.types import Scope
from websockets.utils import accept_key

from proxy.access.callers import Caller, caller_of
from proxy.errors import ClientLeft, RequestFailed, UpgradeRequired
from proxy.http.connection import PEER
from proxy.http.kernel_buffer import share_sent
from proxy.http.socket_protocol import SOCKET_OFFER, SocketProtocol, Swap, nothing_to_do
from proxy.speech.deadline import MovingTimer, StoppableBlock

SUBPROTOCOL = "voxgate.v1"
IDLE_S = 180.0


class Socket(StoppableBlock):
    """A WebSocket of a caller. If it is lost, or the server closes it, the task of its handler is cancelled.

    Before `accept`, a failure is an answer over HTTP.
    """

    def __init__(self, scope: Scope) -> None:
        extensions = scope["extensions"]
        if SOCKET_OFFER not in extensions or not (key := _handshake_key(scope)):
            raise UpgradeRequired(
                "Only a WebSocket client can connect here, with version 13. A proxy in between must pass "
                "the headers 'Upgrade' and 'Connection' on.",
                headers={"upgrade": "websocket", "sec-websocket-version": "13"},
            )
        self.scope = scope
        self.id: str = scope["state"]["request_id"]
        self.caller: Caller = caller_of(scope)
        self.is_leaving = False
        self.is_gone = False
        self.on_leave: Callable[[], None] | None = None
        self.last_message = 0.0
        self._key = key
        self._swap: Swap = extensions[SOCKET_OFFER]
        self._peer = extensions[PEER]
        self._peer.on_gone = self._lose
        self._protocol: SocketProtocol | None = None
        self._speaking = 0
        self._idle = _IdleTime(self)

    def __repr__(self) -> str:
        state = "waiting" if self._protocol is None else "speaking" if self._speaking else "silent"
        return f"<Socket {self.id} {'gone' if self.is_gone else state}>"

    def header(self, name: bytes) -> str:
        return next((value.decode("latin-1") for each, value in self.scope["headers"] if each == name), "")

    @property
    def query(self) -> Mapping[str, str]:
        return QueryParams(self.scope["query_string"])

    @property
    def path_params(self) -> Mapping[str, str]:
        params: Mapping[str, str] = self.scope["path_params"]
        return params

    @property
    def is_open(self) -> bool:
        """Whether it was accepted."""
        return self._protocol is not None

    @property
    def is_silent(self) -> bool:
        return self.is_open and not self._speaking

    async def accept(self) -> None:
        """Answer the handshake."""
        if self._peer.is_gone:
            raise ClientLeft
        headers = [(b"sec-websocket-accept", self._key.encode()), (b"x-request-id", self.id.encode())]
        if SUBPROTOCOL in offered_protocols(self.scope):
            headers.append((b"sec-websocket-protocol", SUBPROTOCOL.encode()))
        self._protocol = self._swap(headers)
        self._protocol.on_gone = self._lose
        self._protocol.on_leave = self.leave
        self._note_message()

    async def receive(self) -> str | bytes:
        """Return the next message."""
        protocol = self._open_protocol()
        message = await protocol.receive()
        if message["type"] != "websocket.receive":
            return await _wait_for_the_end()
        self._note_message()
        text = message.get("text")
        return message["bytes"] if text is None else text

    async def send(self, data: str | bytes) -> None:
        """Send a message, and wait until the kernel has it. This never returns if the socket is closed: the
        handler is being cancelled."""
        protocol = self._open_protocol()
        if not self.is_gone and not protocol.close_sent:
            protocol.write(data)
            await protocol.drain()
        if self.is_gone or protocol.close_sent:
            await _wait_for_the_end()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the socket. The handler returns after that."""
        self._open_protocol().close(code, reason)

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """While the block runs, the idle time does not run, and a drain does not close the socket."""
        self._speaking += 1
        self._idle.rest()
        try:
            yield
        finally:
            self._speaking -= 1
            if not self._speaking:
                self._note_message()
                if self.is_leaving:
                    asyncio.get_running_loop().call_soon(self.end, 1001, "The server is leaving.")

    def mark(self) -> int:
        """Return the bytes of the connection that were written until now."""
        return self._open_protocol().written

    def share_sent(self, since: int) -> float | None:
        """Return the share of the bytes written since a mark that have left this machine. None while the
        client is connected."""
        protocol = self._open_protocol()
        if not protocol.is_gone:
            return None
        written = protocol.written - since
        return share_sent(protocol.info, since, written) if written else 0.0

    def leave(self) -> None:
        """Close when the socket is silent."""
        if self.is_leaving:
            return
        self.is_leaving = True
        if self.is_silent:
            self.end(1001, "The server is leaving.")
        elif self.on_leave is not None:
            self.on_leave()

    def end(self, code: int, reason: str) -> None:
        """Close by the server's own will, and cancel the handler."""
        if self._protocol is not None and not self.is_gone and not self._protocol.close_sent:
            self._protocol.close(code, reason)
            self._lose()

    async def run(self, handle: Callable[[Socket], Awaitable[None]]) -> None:
        """Run the handler until it returns or the socket is lost. A failure after `accept` closes it."""
        code, reason = 1011, ""
        try:
            with self:
                await handle(self)
            code = 1000
        except TimeoutError:
            if not self.is_gone:
                raise
            raise ClientLeft from None
        except RequestFailed as failure:
            if self._protocol is None:
                raise
            self.scope["state"]["exchange"].code = reason = failure.code
            code = 1008 if failure.status < 500 else 1011
        except asyncio.CancelledError:
            code = 1001
            raise
        finally:
            self._idle.close()
            self._peer.on_gone = None
            if self._protocol is not None:
                self._protocol.on_gone = self._protocol.on_leave = nothing_to_do
                self._protocol.close(code, reason)

    def _lose(self) -> None:
        self.is_gone = True
        self.expire()

    def _note_message(self) -> None:
        self.last_message = asyncio.get_running_loop().time()
        if not self._speaking:
            self._idle.at(self.last_message + IDLE_S)

    def _open_protocol(self) -> SocketProtocol:
        assert self._protocol is not None, "it was accepted"
        return self._protocol


class SocketEndpoint(NamedTuple):
    """A path on which sockets open. The handler accepts the socket, and returns when it is over."""

    path: str
    handle: Callable[[Socket], Awaitable[None]]
    name: str
    summary: str = ""


class _IdleTime(MovingTimer):
    def __init__(self, socket: Socket) -> None:
        self._socket = socket

    def expire(self) -> None:
        self._socket.end(1000, f"No message came within {IDLE_S:g} s.")


async def _wait_for_the_end() -> NoReturn:
    await asyncio.Event().wait()
    raise AssertionError


def offered_protocols(scope: Scope) -> list[str]:
    """Return the subprotocols that a handshake offers."""
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == b"sec-websocket-protocol"]
    return [each.strip() for line in lines for each in line.split(",")]


def _handshake_key(scope: Scope) -> str:
    """Return the answer to the key of a handshake, or "" if the handshake is not good."""
    fields = dict(scope["headers"])
    key = fields.get(b"sec-websocket-key", b"").decode("latin-1")
    try:
        is_good = len(b64decode(key, validate=True)) == 16
    except (NoBase64, ValueError):
        is_good = False
    return accept_key(key) if is_good and fields.get(b"sec-websocket-version") == b"13" else ""
