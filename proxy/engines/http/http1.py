"""A lean HTTP/1.1 client: requests over connections that are reused, through a forward proxy if one is
configured. It supports no compressed answers and no redirects.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType

import aiohappyeyeballs
from aiohappyeyeballs import AddrInfoType

from proxy.engines.http.forward_proxy import ForwardProxy, TunnelAnswer
from proxy.engines.http.http1_connection import Http1Answer, Http1Connection
from proxy.engines.http.http1_request import Origin, RequestHead
from proxy.engines.http.request_limiter import Places
from speech_engine import EngineFailed, EngineTimeout, EngineUnavailable

_NEXT_ADDRESS_S = 0.25
"""The wait before the next address of a host is tried too, while the last one is still silent."""

_CLOSING_S = 1.0

LookUp = Callable[[str, int], Awaitable[Sequence[AddrInfoType]]]


class ConnectionPool:
    """Connections by origin. `places` bounds the requests at once, in the order in which they came.

    All sockets together are no more than `most`: the one that was idle longest makes room. A connection is
    opened to an address that `look_up` gave for it, which raises OSError.
    """

    def __init__(
        self, places: Places, most: int, trust: ssl.SSLContext, look_up: LookUp | None = None
    ) -> None:
        self._places = places
        self._most = most
        self._trust = trust
        self._loop = asyncio.get_running_loop()
        self._look_up = look_up or self._addresses
        self._opening_count = 0
        self._sockets: set[Http1Connection] = set()
        self._idle: dict[Origin, list[Http1Connection]] = {}

    def __repr__(self) -> str:
        idle = sum(len(each) for each in self._idle.values())
        return f"<ConnectionPool {len(self._sockets) - idle} busy, {idle} idle>"

    async def take(self, origin: Origin, deadline: float, *, must_be_fresh: bool = False) -> Http1Connection:
        """Return a connection, with a place among the requests: `begin` must follow.

        Raises EngineUnavailable if the server is not reached, EngineTimeout if there is none by `deadline`.
        """
        if not must_be_fresh and self._idle.get(origin) and self._places.take_now():
            return self._idle[origin].pop()
        try:
            async with asyncio.timeout_at(deadline):
                await self._places.acquire()
                try:
                    if not must_be_fresh and (idle := self._idle.get(origin)):
                        return idle.pop()
                    return await self._open(origin)
                except BaseException:
                    self._places.release()
                    raise
        except TimeoutError:
            raise EngineTimeout("The provider did not answer in time.") from None
        except (OSError, UnicodeError, RuntimeError) as error:
            # The name may be invalid, and uvloop raises RuntimeError for some sockets.
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise EngineUnavailable(f"The provider cannot be reached: {reason}.") from None

    def end_exchange(self, connection: Http1Connection) -> None:
        self._places.release()
        if connection.is_open:
            self._idle.setdefault(connection.origin, []).append(connection)
            connection.rest()

    def forget_idle(self, connection: Http1Connection) -> None:
        idle = self._idle.get(connection.origin, [])
        if connection in idle:
            idle.remove(connection)
        if not idle:
            self._idle.pop(connection.origin, None)

    def forget(self, connection: Http1Connection) -> None:
        self._sockets.discard(connection)

    async def close(self) -> None:
        sockets = list(self._sockets)
        for connection in sockets:
            connection.abort("the server ends")
        if sockets:
            # The loop closes a socket some turns after close().
            await asyncio.wait([connection.closed for connection in sockets], timeout=_CLOSING_S)

    async def _open(self, origin: Origin) -> Http1Connection:
        self._opening_count += 1
        try:
            self._make_room()
            connection = await self._connect(origin)
        finally:
            self._opening_count -= 1
        if not connection.is_open:
            raise ConnectionResetError(errno.ECONNRESET, "the connection ended before a request")
        self._sockets.add(connection)
        return connection

    async def _connect(self, origin: Origin) -> Http1Connection:
        connection = Http1Connection(self._loop, self, origin)
        is_tls, via = origin.scheme == "https", origin.via
        if via is None or not is_tls:
            name = (origin.host if is_tls else None) if via is None else via.tls_name
            await self._reach(lambda: connection, via or origin, name)
            return connection
        answer = TunnelAnswer()
        transport = await self._reach(lambda: answer, via, via.tls_name)
        try:
            transport.write(via.tunnel_to(origin.host, origin.port))
            await answer.opened
            private = await self._loop.start_tls(
                transport, connection, self._trust, server_hostname=origin.host
            )
        except BaseException:
            transport.abort()
            raise
        assert private is not None  # only a closed transport has none, and its error was raised above
        connection.connection_made(private)
        return connection

    async def _reach(
        self, protocol: Callable[[], asyncio.Protocol], target: Origin | ForwardProxy, tls_name: str | None
    ) -> asyncio.Transport:
        addresses = await self._look_up(target.host, target.port)
        reached = await aiohappyeyeballs.start_connection(
            addresses, happy_eyeballs_delay=_NEXT_ADDRESS_S, interleave=1, loop=self._loop
        )
        transport, _protocol = await self._loop.create_connection(
            protocol,
            sock=reached,
            ssl=None if tls_name is None else self._trust,
            server_hostname=tls_name,
        )
        return transport

    async def _addresses(self, host: str, port: int) -> Sequence[AddrInfoType]:
        return await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)

    def _make_room(self) -> None:
        idle = [connection for each in self._idle.values() for connection in each]
        open_sockets = [connection for connection in self._sockets if connection.is_open]
        if len(open_sockets) + self._opening_count > self._most and idle:
            min(idle, key=lambda connection: connection.idle_since).abort("another needs its place")


class Http1Exchange:
    """One request with its answer: `async with` begins the exchange and ends it."""

    def __init__(
        self, pool: ConnectionPool, head: RequestHead, body: bytes, within_s: float, silence_s: float
    ) -> None:
        self._pool = pool
        self._head = head
        self._body = body
        self._within_s = within_s
        self._silence_s = silence_s
        self._answer: Http1Answer | None = None

    async def __aenter__(self) -> Http1Answer:
        deadline, head, is_again = _now() + self._within_s, self._head, False
        data = head.with_body(self._body)
        while True:
            connection = await self._pool.take(head.origin, deadline, must_be_fresh=is_again)
            answer = self._answer = connection.begin(data, self._silence_s)
            try:
                await answer.wait_for_head(deadline)
            except BaseException as error:
                answer.close()
                # The server had closed the idle connection unnoticed. The next connection is a fresh one.
                is_stale = not connection.is_fresh and answer.is_untouched
                if not is_stale or not head.may_repeat or not isinstance(error, EngineFailed):
                    raise
                is_again = True
            else:
                return answer

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._answer is not None:
            self._answer.close()


_now = time.monotonic
