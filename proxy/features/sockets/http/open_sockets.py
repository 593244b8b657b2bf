"""The open WebSockets of a worker: how many there may be, and what becomes of them when the worker leaves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from starlette.types import Receive, Scope, Send

from proxy.access.sessions import session_or_none
from proxy.config.sections import Server
from proxy.errors import InvalidKey, NotAllowed, RateLimited, ServerBusy
from proxy.features.sockets.http.frame_pace import FramePace
from proxy.features.sockets.http.socket import LEAVING_MESSAGE, ClientSocket, SocketEndpoint
from proxy.http.endpoint import Endpoint
from proxy.http.hosts import host_name
from proxy.telemetry.metrics import Metrics

_USUAL_PORTS = {"http": ":80", "https": ":443"}
"""The ports that an origin leaves out, though `Host` may name them."""


class OpenSockets:
    """The sockets of a worker. `revise_limits` takes the limits of a new configuration."""

    def __init__(self, server: Server, metrics: Metrics) -> None:
        self.pace = FramePace()
        self._metrics = metrics
        self._open_sockets: set[ClientSocket] = set()
        self._is_leaving = False
        metrics.count_sockets = self._open_sockets.__len__
        self.revise_limits(server)

    def __repr__(self) -> str:
        return f"<OpenSockets {len(self._open_sockets)} of {self._server.sockets}>"

    def revise_limits(self, server: Server) -> None:
        self._server = server

    def leave_server(self) -> None:
        """Open no more sockets. Silent ones close now, and the others when their speech has ended."""
        self._is_leaving = True
        for socket in list(self._open_sockets):
            socket.leave_when_silent()

    def socket_endpoints(self, sockets: Sequence[SocketEndpoint]) -> list[Endpoint]:
        return [
            Endpoint("GET", each.path, _Handshake(self, each), each.name, each.summary, {})
            for each in sockets
        ]

    async def open_socket(self, socket: ClientSocket, endpoint: SocketEndpoint) -> None:
        """Count a socket, and run its handler. Raises NotAllowed, RateLimited, ServerBusy, and what it
        raises."""
        self._check_origin(socket)
        self._add_or_refuse(socket)
        # The metric counts requests under way, and a socket may be open for hours.
        self._metrics.in_flight -= 1
        state = socket.scope["state"]
        streams = state["streams"]
        streams[socket] = state, lambda failure: socket.end_by_server(1008, failure.code)
        try:
            await socket.run_handler(endpoint.handle)
        finally:
            streams.pop(socket, None)
            self._metrics.in_flight += 1
            self._open_sockets.discard(socket)

    def _check_origin(self, socket: ClientSocket) -> None:
        """Raise NotAllowed for a page of another origin."""
        origin, allowed = socket.header(b"origin"), self._server.cors_origins
        scheme, _, sender = origin.lower().partition("://")
        host = socket.header(b"host").lower().removesuffix(_USUAL_PORTS.get(scheme, ""))
        # A proxy may name the host without its port.
        is_own = host in (sender, host_name(sender))
        if origin and not is_own and origin not in allowed and "*" not in allowed:
            raise NotAllowed(
                "No page of this origin may connect: [server] cors_origins lists those that may.",
                code="cors_refused",
                param="Origin",
            )

    def _add_or_refuse(self, socket: ClientSocket) -> None:
        if self._is_leaving:
            raise ServerBusy(LEAVING_MESSAGE)
        limit = self._server.sockets_per_account
        if sum(each.caller.account == socket.caller.account for each in self._open_sockets) >= limit:
            raise _too_many(f"Your account has {limit} open sockets at this server, and that is the most.")
        if len(self._open_sockets) >= self._server.sockets:
            self._close_idlest()
        self._open_sockets.add(socket)

    def _close_idlest(self) -> None:
        """Close the socket that is idle for longest, of the account with the most idle ones."""
        idle_sockets = [each for each in self._open_sockets if each.is_quiet]
        if not idle_sockets:
            raise _too_many("This server has as many open sockets as it takes, and all are busy.")
        [(account, _)] = Counter(each.caller.account for each in idle_sockets).most_common(1)
        longest_idle = min(
            (each for each in idle_sockets if each.caller.account == account),
            key=lambda each: each.last_message_s,
        )
        self._open_sockets.discard(longest_idle)
        longest_idle.end_by_server(1013, "The server is full, and this socket was idle.")


class _Handshake:
    """The ASGI app of a path on which sockets open."""

    def __init__(self, sockets: OpenSockets, endpoint: SocketEndpoint) -> None:
        self._sockets, self._endpoint = sockets, endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if session_or_none(scope) is not None:
            # A foreign page could open the socket with the cookie of its visitor.
            raise InvalidKey("A socket needs an API key. A session opens none.")
        await self._sockets.open_socket(ClientSocket(scope, self._sockets.pace), self._endpoint)


def _too_many(message: str) -> RateLimited:
    return RateLimited(message, code="too_many_sockets", retry_after_s=1.0)
