"""The client for what the lean one does not send: forms, forward proxies, addresses to be quoted."""

from __future__ import annotations

import asyncio
import io
import ssl
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import TypeVar

import aiohttp

from proxy.engines.http1_request import DEFAULTS
from proxy.engines.request_places import Places
from speech_engine import EngineFailed, EngineTimeout, EngineUnavailable
from speech_engine.http import MOST_BYTES, HttpForm, HttpRequest

Begun = TypeVar("Begun")

_IDLE_S = 15.0
_PIECE_BYTES = 64 * 1024
_NOBODY_REACHED = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
)


class AiohttpAnswer:
    """A `speech_engine.HttpAnswer` over aiohttp."""

    def __init__(self, response: aiohttp.ClientResponse, silence_s: float) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
        self._response = response
        self._silence_s = silence_s

    def __repr__(self) -> str:
        return f"<HttpAnswer {self.status}>"

    async def next_piece(self) -> bytes:
        try:
            async with asyncio.timeout(self._silence_s):
                piece = await self._response.content.readany()
        except TimeoutError:
            raise EngineTimeout("The provider fell silent in the middle of its answer.") from None
        except (aiohttp.ClientError, OSError) as error:
            raise EngineFailed(f"The provider's answer was cut off: {type(error).__name__}.") from None
        if piece and self.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
            raise EngineFailed(
                "The provider's answer was cut off: it is compressed, which it was asked not to be."
            )
        return piece

    async def read(self, most_bytes: int = MOST_BYTES) -> bytes:
        parts, size = [], 0
        while piece := await self.next_piece():
            size += len(piece)
            if size > most_bytes:
                raise EngineFailed("The provider's answer is longer than any that makes sense.")
            parts.append(piece)
        return b"".join(parts)


class AiohttpClient:
    """A client for many requests at once. It has a place among `places` for each."""

    def __init__(self, connections: int, trust: ssl.SSLContext, places: Places) -> None:
        self._places = places
        connector = aiohttp.TCPConnector(
            limit=connections, limit_per_host=connections, keepalive_timeout=_IDLE_S, ssl=trust
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers=DEFAULTS,
            auto_decompress=False,
            # Our own timeouts know the deadline of each request.
            timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=_PIECE_BYTES,
        )

    def __repr__(self) -> str:
        return "<AiohttpClient>"

    def send(self, request: HttpRequest, proxy: str | None) -> AiohttpExchange:
        return AiohttpExchange(self._session, self._places, request, proxy)

    async def close(self) -> None:
        await self._session.close()


class AiohttpExchange:
    """One request with its answer: `async with` begins the exchange and ends it."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        places: Places,
        request: HttpRequest,
        proxy: str | None,
    ) -> None:
        self._session = session
        self._places = places
        self._request = request
        self._proxy = proxy
        self._response: aiohttp.ClientResponse

    def __repr__(self) -> str:
        return "<AiohttpExchange>"

    async def __aenter__(self) -> AiohttpAnswer:
        self._response = await begin_at_place(self._places, self._request.within_s, self._begin)
        return AiohttpAnswer(self._response, self._request.silence_s)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # An answer that was read to its end has released its connection. For the others, a provider that
        # still speaks must notice that nobody reads.
        self._response.close()
        self._places.release()

    async def _begin(self) -> aiohttp.ClientResponse:
        body = self._request.body
        return await self._session.request(
            self._request.method,
            self._request.url,
            headers=self._request.headers,
            data=_form(body) if isinstance(body, HttpForm) else body or None,
            proxy=self._proxy,
            # A redirect must not carry a key to another address.
            allow_redirects=False,
        )


async def begin_at_place(places: Places, within_s: float, begin: Callable[[], Awaitable[Begun]]) -> Begun:
    """Take a place and begin an exchange, which keeps the place. Raises EngineError, and then has none."""
    try:
        async with asyncio.timeout(within_s):
            await places.acquire()
            try:
                return await begin()
            except BaseException:
                places.release()
                raise
    except TimeoutError:
        raise EngineTimeout("The provider did not answer in time.") from None
    except _NOBODY_REACHED as error:
        raise EngineUnavailable(f"The provider cannot be reached: {_reason_of(error)}.") from None
    except (aiohttp.ClientError, OSError) as error:
        raise EngineFailed(f"The provider broke off: {type(error).__name__}.") from None


def _form(form: HttpForm) -> aiohttp.FormData:
    data = aiohttp.FormData()
    for name, value in form.fields:
        data.add_field(name, value)
    for file in form.files:
        # As a file: aiohttp warns of bytes above a megabyte, since it would send them in one write.
        content = io.BytesIO(file.data)
        data.add_field(file.field, content, filename=file.name, content_type=file.media_type)
    return data


def _reason_of(error: Exception) -> str:
    """Return the reason without the address, which may hold a key."""
    cause = error.__cause__ or error
    return getattr(cause, "strerror", None) or type(cause).__name__
