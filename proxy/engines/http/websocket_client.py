"""The WebSocket client of cloud engines."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI, ProxyError

from proxy.engines.http.request_limiter import Places
from speech_engine import EngineFailed, EngineTimeout, EngineUnavailable
from speech_engine.sockets import HandshakeRefused, SocketRequest

_REFUSAL_BYTES = 64 * 1024
_PING_S = 30.0
"""A connection that answers no ping for so long is dead. A provider's machine may vanish without a word."""
_CLOSING_S = 0.5
"""The wait for the answer to a close. A provider that is gone never answers."""


class OpenSocket:
    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    @property
    def close_code(self) -> int | None:
        protocol = self._connection.protocol
        if protocol.close_rcvd is None and protocol.close_sent is not None and self._connection.close_code:
            return protocol.close_sent.code  # it was closed here: a message was too long
        return self._connection.close_code

    async def send(self, message: str) -> None:
        try:
            await self._connection.send(message)
        except (ConnectionClosed, OSError) as error:
            raise EngineFailed(f"The provider's connection is closed: {type(error).__name__}.") from None

    async def next_message(self) -> bytes | None:
        try:
            return await self._connection.recv(decode=False)
        except ConnectionClosed:
            return None


@asynccontextmanager
async def open_socket(
    request: SocketRequest, places: Places, trust: ssl.SSLContext, proxy: str | None
) -> AsyncIterator[OpenSocket]:
    """Open a connection, which holds a place until its end. Raises what `SocketClient.connect` raises."""
    connection = await _opened_in_time(request, places, trust, proxy)
    try:
        yield OpenSocket(connection)
    finally:
        try:
            await connection.close()
        finally:
            connection.transport.abort()
            places.release()


async def _opened_in_time(
    request: SocketRequest, places: Places, trust: ssl.SSLContext, proxy: str | None
) -> ClientConnection:
    try:
        async with asyncio.timeout(request.within_s):
            await places.acquire()
            try:
                return await _opened(request, trust, proxy)
            except BaseException:
                places.release()
                raise
    except TimeoutError:
        raise EngineTimeout("The provider did not answer in time.") from None
    except InvalidStatus as refusal:
        answer = refusal.response
        headers = {name.lower(): value for name, value in answer.headers.raw_items()}
        raise HandshakeRefused(answer.status_code, headers, bytes(answer.body[:_REFUSAL_BYTES])) from None
    except (OSError, InvalidURI, ProxyError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise EngineUnavailable(f"The provider cannot be reached: {reason}.") from None
    except InvalidHandshake as error:
        raise EngineFailed(f"The provider broke off: {type(error).__name__}.") from None


async def _opened(request: SocketRequest, trust: ssl.SSLContext, proxy: str | None) -> ClientConnection:
    return await _ConnectWithoutRedirect(
        request.url,
        additional_headers=request.headers,
        user_agent_header="voxgate",
        proxy=proxy,
        compression=None,
        ssl=trust if request.url.startswith("wss:") else None,
        open_timeout=None,
        ping_interval=_PING_S,
        ping_timeout=_PING_S,
        close_timeout=_CLOSING_S,
        max_size=request.most_message_bytes,
        max_queue=4,  # messages that wait for their reader
    )


class _ConnectWithoutRedirect(connect):
    def process_redirect(self, exc: Exception) -> Exception:
        """Follow no redirect, since another server must not get the key."""
        return exc
