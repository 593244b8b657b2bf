"""The client of all cloud engines: a lean one for plain requests, aiohttp for the others and for sockets."""

from __future__ import annotations

import asyncio
import importlib
import ssl
import urllib.request
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache, lru_cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from proxy.config.sections import Upstream
from proxy.engines.http1 import ConnectionPool, Http1Exchange
from proxy.engines.http1_request import request_head
from proxy.engines.request_places import Places
from speech_engine.http import HttpAnswer, HttpForm, HttpRequest
from speech_engine.sockets import Socket, SocketRequest

if TYPE_CHECKING:
    from proxy.engines.aiohttp_client import AiohttpClient, AiohttpExchange
    from proxy.engines.aiohttp_sockets import SocketConnection, SocketSession


class UpstreamClient:
    """A `speech_engine.HttpClient` and a `SocketClient`. Use `open_http`."""

    def __init__(self, upstream: Upstream, proxy_of: Callable[[str], str | None] | None) -> None:
        self._connections = upstream.connections
        self._trust = _trust(Path(upstream.ca_file)) if upstream.ca_file else _usual_trust()
        # Both clients together ask no more at once than the section allows.
        self._places = Places(upstream.connections)
        self._pool = ConnectionPool(self._places, upstream.connections, self._trust)
        self._proxy_of = proxy_of
        self._aiohttp: AiohttpClient | None = None
        self._sockets: SocketSession | None = None

    def __repr__(self) -> str:
        return f"<UpstreamClient {self._pool!r}>"

    def send(self, request: HttpRequest) -> AbstractAsyncContextManager[HttpAnswer]:
        """Return the exchange, for `async with`. Raises EngineUnavailable for a header of two lines."""
        proxy = None if self._proxy_of is None else self._proxy_of(request.url)
        head = request_head(request.method, request.url, tuple(request.headers.items()))
        if head is None or proxy is not None or isinstance(request.body, HttpForm):
            return _OtherExchange(self, request, proxy)
        return Http1Exchange(self._pool, head, request.body, request.within_s, request.silence_s)

    def connect(self, request: SocketRequest) -> AbstractAsyncContextManager[Socket]:
        """Return the connection, for `async with`."""
        # The variables of the environment know http and https alone.
        url = f"http{request.url.removeprefix('ws')}"
        proxy = None if self._proxy_of is None else self._proxy_of(url)
        return _OpenedSocket(self, request, proxy)

    async def sockets(self) -> SocketSession:
        """Return the client of sockets, which most workers never need either."""
        if self._sockets is None:
            await asyncio.to_thread(importlib.import_module, "proxy.engines.aiohttp_sockets")
            from proxy.engines.aiohttp_sockets import SocketSession

            if self._sockets is None:
                self._sockets = SocketSession(self._connections, self._trust)
        return self._sockets

    async def aiohttp(self) -> AiohttpClient:
        """Return the other client: ten MiB that most workers never need. A thread reads its code, so that no
        stream stutters."""
        if self._aiohttp is None:
            await asyncio.to_thread(importlib.import_module, "proxy.engines.aiohttp_client")
            from proxy.engines.aiohttp_client import AiohttpClient

            if self._aiohttp is None:
                self._aiohttp = AiohttpClient(self._connections, self._trust, self._places)
        return self._aiohttp

    async def close(self) -> None:
        await self._pool.close()
        if self._aiohttp is not None:
            await self._aiohttp.close()
        if self._sockets is not None:
            await self._sockets.close()


class _OtherExchange:
    def __init__(self, client: UpstreamClient, request: HttpRequest, proxy: str | None) -> None:
        self._client = client
        self._request = request
        self._proxy = proxy
        self._exchange: AiohttpExchange

    async def __aenter__(self) -> HttpAnswer:
        self._exchange = (await self._client.aiohttp()).send(self._request, self._proxy)
        return await self._exchange.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exchange.__aexit__(kind, error, trace)


class _OpenedSocket:
    def __init__(self, client: UpstreamClient, request: SocketRequest, proxy: str | None) -> None:
        self._client = client
        self._request = request
        self._proxy = proxy
        self._connection: SocketConnection

    async def __aenter__(self) -> Socket:
        self._connection = (await self._client.sockets()).connect(self._request, self._proxy)
        return await self._connection.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connection.__aexit__(kind, error, trace)


@asynccontextmanager
async def open_http(upstream: Upstream) -> AsyncIterator[UpstreamClient]:
    proxies = urllib.request.getproxies()
    proxy_of = _always(upstream.proxy) if upstream.proxy else _proxies_of_environment(proxies)
    client = UpstreamClient(upstream, proxy_of)
    try:
        if upstream.proxy or proxies:
            await client.aiohttp()
        yield client
    finally:
        await client.close()


@cache
def _usual_trust() -> ssl.SSLContext:
    """The machine's own authorities: to read them takes 30 ms."""
    return _trust(None)


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _always(proxy: str) -> Callable[[str], str | None]:
    return lambda _url: proxy


def _proxies_of_environment(proxies: Mapping[str, str]) -> Callable[[str], str | None] | None:
    """Read HTTPS_PROXY, NO_PROXY and the like once. aiohttp would read them for each request, in a thread."""

    @lru_cache(maxsize=64)
    def of_host(scheme: str, host: str) -> str | None:
        return None if urllib.request.proxy_bypass(host) else proxies.get(scheme)

    def of_url(url: str) -> str | None:
        parts = urlsplit(url)
        return of_host(parts.scheme, parts.netloc.rpartition("@")[2])

    return of_url if proxies else None
