"""The WebSocket client of cloud engines: the server lends it in `Context`, as it lends the HTTP client.

This module imports no WebSocket library. A connection fails with the classes of `speech_engine.errors`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from speech_engine.errors import EngineFailed, EngineUnavailable
from speech_engine.redacted import Redacted


class SocketRequest(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """A connection to open, to ws:// or wss://. `within_s` limits the wait for the handshake."""

    url: str
    headers: Mapping[str, str] = {}
    within_s: float = 10.0
    most_message_bytes: int = 4 * 1024 * 1024


class HandshakeRefused(EngineFailed):
    """The provider answered a handshake like a plain request. The engine judges the answer."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__("The provider refused the connection.", detail=f"HTTP {status}")
        self.status = status
        self.headers = headers
        self.body = body


class Socket(Protocol):
    """An open connection. One task reads, and any task sends."""

    @property
    def close_code(self) -> int | None:
        """The code with which the provider closed, or None while the connection is open."""
        ...

    async def send(self, message: str) -> None:
        """Sends a text message. Raises EngineFailed if the connection is closed."""
        ...

    async def next_message(self) -> bytes | None:
        """Returns the next message, or None once the connection is closed, cut, or got too long a one."""
        ...


class SocketClient(Protocol):
    """A client for many connections. A connection ends when its block is left or cancelled."""

    def connect(self, request: SocketRequest) -> AbstractAsyncContextManager[Socket]:
        """Opens a connection. Raises EngineUnavailable if the provider cannot be reached, EngineTimeout after
        `within_s`, HandshakeRefused for a status that opens none. Never follows a redirect."""
        ...


class _NoNetwork:
    def connect(self, request: SocketRequest) -> AbstractAsyncContextManager[Socket]:
        raise EngineUnavailable("An engine that is hosted is lent no WebSocket client.")


NO_SOCKETS: SocketClient = _NoNetwork()
