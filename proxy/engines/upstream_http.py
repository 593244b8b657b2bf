"""The HTTP client of all cloud engines, over aiohttp, which costs a fifth of what other clients cost."""

from __future__ import annotations

import asyncio
import io
import ssl
import urllib.request
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from proxy.config.sections import Upstream
from speech_engine import EngineFailed, EngineTimeout, EngineUnavailable
from speech_engine.http import MOST_BYTES, HttpForm, HttpRequest

_IDLE_S = 15.0
"""Shorter than the idle time of servers: a connection that closes under a request costs that request."""
_PIECE_BYTES = 64 * 1024
_NOBODY_REACHED = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
)


class _Answer:
    def __init__(self, response: aiohttp.ClientResponse, silence_s: float) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = _lower(response.headers)
        self._response = response
        self._silence_s = silence_s

    def __repr__(self) -> str:
        return f"<HttpAnswer {self.status}>"

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        content = self._response.content
        while True:
            try:
                async with asyncio.timeout(self._silence_s):
                    piece = await content.readany()
            except TimeoutError:
                raise EngineTimeout("The provider fell silent in the middle of its answer.") from None
            except (aiohttp.ClientError, OSError) as error:
                raise EngineFailed(f"The provider's answer was cut off: {type(error).__name__}.") from None
            if not piece:
                return
            yield piece

    async def read(self, most_bytes: int = MOST_BYTES) -> bytes:
        parts, size = [], 0
        async with aclosing(self.pieces()) as pieces:
            async for piece in pieces:
                size += len(piece)
                if size > most_bytes:
                    raise EngineFailed("The provider's answer is longer than any that makes sense.")
                parts.append(piece)
        return b"".join(parts)


class AiohttpClient:
    """A `speech_engine.HttpClient` over aiohttp. Use `open_http`."""

    def __init__(self, session: aiohttp.ClientSession, proxy_of: Callable[[str], str | None]) -> None:
        self._session = session
        self._proxy_of = proxy_of

    @asynccontextmanager
    async def send(self, request: HttpRequest) -> AsyncIterator[_Answer]:
        response = await self._begin(request)
        try:
            yield _Answer(response, request.silence_s)
        finally:
            # An answer that was read to its end has released its connection. For the others, a provider that
            # still speaks must notice that nobody reads.
            response.close()

    async def _begin(self, request: HttpRequest) -> aiohttp.ClientResponse:
        try:
            async with asyncio.timeout(request.within_s):
                return await self._session.request(
                    request.method,
                    request.url,
                    headers=request.headers,
                    data=_form(request.body) if isinstance(request.body, HttpForm) else request.body or None,
                    proxy=self._proxy_of(request.url),
                    # A redirect must not carry a key to another address.
                    allow_redirects=False,
                )
        except TimeoutError:
            raise EngineTimeout("The provider did not answer in time.") from None
        except _NOBODY_REACHED as error:
            raise EngineUnavailable(f"The provider cannot be reached: {_reason(error)}.") from None
        except (aiohttp.ClientError, OSError) as error:
            raise EngineFailed(f"The provider broke off: {type(error).__name__}.") from None


@asynccontextmanager
async def open_http(upstream: Upstream) -> AsyncIterator[AiohttpClient]:
    connector = aiohttp.TCPConnector(
        limit=upstream.connections,
        limit_per_host=upstream.connections,
        keepalive_timeout=_IDLE_S,
        ssl=_trust(upstream.ca_file),
    )
    session = aiohttp.ClientSession(
        connector=connector,
        # Our own timeouts know the deadline of each request.
        timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=_PIECE_BYTES,
    )
    proxy_of = _always(upstream.proxy) if upstream.proxy else _proxies_of_environment()
    async with session:
        yield AiohttpClient(session, proxy_of)


def _always(proxy: str) -> Callable[[str], str | None]:
    return lambda _url: proxy


def _proxies_of_environment() -> Callable[[str], str | None]:
    """Read HTTPS_PROXY, NO_PROXY and the like once. aiohttp would read them for each request, in a thread."""
    proxies = urllib.request.getproxies()

    @lru_cache(maxsize=64)
    def of_host(scheme: str, host: str) -> str | None:
        return None if urllib.request.proxy_bypass(host) else proxies.get(scheme)

    def of_url(url: str) -> str | None:
        parts = urlsplit(url)
        return of_host(parts.scheme, parts.netloc.rpartition("@")[2])

    return of_url if proxies else lambda _url: None


def _trust(ca_file: str) -> ssl.SSLContext | bool:
    return ssl.create_default_context(cafile=Path(ca_file)) if ca_file else True


def _form(form: HttpForm) -> aiohttp.FormData:
    data = aiohttp.FormData()
    for name, value in form.fields:
        data.add_field(name, value)
    for file in form.files:
        # As a file: aiohttp warns of bytes above a megabyte, since it would send them in one write.
        content = io.BytesIO(file.data)
        data.add_field(file.field, content, filename=file.name, content_type=file.media_type)
    return data


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _reason(error: Exception) -> str:
    """Return the reason without the address, which may hold a key."""
    cause = error.__cause__ or error
    return getattr(cause, "strerror", None) or type(cause).__name__
