"""The WebSocket client of cloud engines, over aiohttp."""

from __future__ import annotations

import ssl
from types import TracebackType

import aiohttp

from proxy.engines.aiohttp_client import begin_at_place
from proxy.engines.request_places import Places
from speech_engine import EngineFailed
from speech_engine.sockets import HandshakeRefused, SocketRequest

_REFUSAL_BYTES = 64 * 1024
_PING_S = 30.0
"""A connection that answers no ping for so long is dead. A provider's machine may vanish without a word."""


class AiohttpSocket:
    """A `speech_engine.sockets.Socket`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    def __repr__(self) -> str:
        return f"<AiohttpSocket {self.close_code or 'open'}>"

    @property
    def close_code(self) -> int | None:
        return self._socket.close_code

    async def send(self, message: str) -> None:
        try:
            await self._socket.send_str(message)
        except (aiohttp.ClientError, OSError) as error:
            raise EngineFailed(f"The provider's connection is closed: {type(error).__name__}.") from None

    async def next_message(self) -> bytes | None:
        message = await self._socket.receive()
        match message.type:
            case aiohttp.WSMsgType.TEXT:
                return str(message.data).encode()
            case aiohttp.WSMsgType.BINARY:
                return bytes(message.data)
        return None


class SocketSession:
    """All connections of a server. They are as many at once as the section [upstream] allows.

    A connection lives long, so it takes no place from requests.
    """

    def __init__(self, connections: int, trust: ssl.SSLContext) -> None:
        self._places = Places(connections)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=trust),
            timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"user-agent": "voxgate"},
            middlewares=(_refuse_all_but_upgrades,),
        )

    def __repr__(self) -> str:
        return "<SocketSession>"

    def connect(self, request: SocketRequest, proxy: str | None) -> SocketConnection:
        return SocketConnection(self._session, self._places, request, proxy)

    async def close(self) -> None:
        await self._session.close()


class SocketConnection:
    """One connection: `async with` opens it and closes it."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        places: Places,
        request: SocketRequest,
        proxy: str | None,
    ) -> None:
        self._session = session
        self._places = places
        self._request = request
        self._proxy = proxy
        self._socket: aiohttp.ClientWebSocketResponse

    def __repr__(self) -> str:
        return "<SocketConnection>"

    async def __aenter__(self) -> AiohttpSocket:
        self._socket = await begin_at_place(self._places, self._request.within_s, self._open)
        return AiohttpSocket(self._socket)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._socket.close()
        finally:
            self._places.release()

    async def _open(self) -> aiohttp.ClientWebSocketResponse:
        return await self._session.ws_connect(
            self._request.url,
            headers=self._request.headers,
            proxy=self._proxy,
            heartbeat=_PING_S,
            max_msg_size=self._request.most_message_bytes,
            # A provider that is gone does not answer a close, and nobody waits for one that is slow.
            timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
        )


async def _refuse_all_but_upgrades(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Read the refusal, which aiohttp would throw away, and follow no redirect: a key must not go astray."""
    answer = await handler(request)
    if answer.status == 101:
        return answer
    headers = {name.lower(): value for name, value in answer.headers.items()}
    body = await answer.content.read(_REFUSAL_BYTES)
    answer.close()
    raise HandshakeRefused(answer.status, headers, body)
