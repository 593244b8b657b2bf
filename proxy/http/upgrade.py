"""The offer of the server's protocol to go on with a connection in another protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

from uvicorn.config import Config
from uvicorn.server import ServerState

from proxy.http.connection import RawHeader
from proxy.http.open_connections import OpenConnection, OpenConnections

UPGRADE = "voxgate.upgrade"
"""The ASGI extension of a GET that may become a WebSocket: an `Upgrade`."""


GIVE_AWAY = "voxgate.give_away"
"""The ASGI extension of such a GET with which another process goes on: a `GiveAway`."""


class Successor(OpenConnection, Protocol):
    """The protocol that goes on. It gets the limits of the one before."""

    stall_s: float
    least_bytes_per_s: float
    open_connections: OpenConnections | None

    def continue_on(self, transport: asyncio.Transport, early_data: bytearray, *, is_behind: bool) -> None:
        """Go on with the transport, and the bytes behind the request. `is_behind`: others wait to be sent."""


S = TypeVar("S", bound=Successor)
MakeSuccessor = Callable[[Config, ServerState, int], S]
"""The number is that of the bytes which were written to the connection before."""


class Upgrade(Protocol):
    def __call__(self, headers: list[RawHeader], make: MakeSuccessor[S], /) -> S:
        """Answer 101 with these headers, and hand the connection over."""
        ...


class GiveAway(Protocol):
    def __call__(self, send: Callable[[int], bool], /) -> bool:
        """Give the connection away, unanswered, by its descriptor. Return False if `send` does not take it.
        Raises InvalidRequest if bytes follow the request."""
        ...
