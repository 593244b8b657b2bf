"""The HTTP client of all cloud engines: a lean one for plain requests, aiohttp for the others."""

from __future__ import annotations

import asyncio
import ssl
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from proxy.config.sections import Upstream
from proxy.engines.aiohttp_client import AiohttpExchange, open_session
from proxy.engines.http1 import ConnectionPool, Http1Exchange
from proxy.engines.http1_request import request_head
from speech_engine.http import HttpForm, HttpRequest


class UpstreamClient:
    """A `speech_engine.HttpClient`. Use `open_http`."""

    def __init__(
        self,
        pool: ConnectionPool,
        session: aiohttp.ClientSession,
        places: asyncio.Semaphore,
        proxy_of: Callable[[str], str | None],
    ) -> None:
        self._pool = pool
        self._session = session
        self._places = places
        self._proxy_of = proxy_of

    def __repr__(self) -> str:
        return f"<UpstreamClient {self._pool!r}>"

    def send(self, request: HttpRequest) -> Http1Exchange | AiohttpExchange:
        """Return the exchange, for `async with`. Raises EngineUnavailable for a header of two lines."""
        proxy = self._proxy_of(request.url)
        head = request_head(request.method, request.url, tuple(request.headers.items()))
        if head is None or proxy is not None or isinstance(request.body, HttpForm):
            return AiohttpExchange(self._session, self._places, request, proxy)
        return Http1Exchange(self._pool, head, request.body, request.within_s, request.silence_s)


@asynccontextmanager
async def open_http(upstream: Upstream) -> AsyncIterator[UpstreamClient]:
    trust = ssl.create_default_context(cafile=Path(upstream.ca_file) if upstream.ca_file else None)
    trust.set_alpn_protocols(("http/1.1",))
    # Both clients together ask no more at once than the section allows.
    places = asyncio.Semaphore(upstream.connections)
    pool = ConnectionPool(places, upstream.connections, trust)
    proxy_of = _always(upstream.proxy) if upstream.proxy else _proxies_of_environment()
    try:
        async with open_session(upstream.connections, trust) as session:
            yield UpstreamClient(pool, session, places, proxy_of)
    finally:
        await pool.close()


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
