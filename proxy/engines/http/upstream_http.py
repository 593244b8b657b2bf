"""The client of all cloud engines, for requests and for WebSockets."""

from __future__ import annotations

import asyncio
import importlib
import ssl
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from functools import cache
from pathlib import Path

from proxy.config.sections import Upstream
from proxy.engines.http.forward_proxy import ProxyOf, forward_proxies
from proxy.engines.http.http1 import ConnectionPool, Http1Exchange
from proxy.engines.http.http1_request import form_body, request_head
from proxy.engines.http.request_limiter import Places
from speech_engine.http import HttpAnswer, HttpForm, HttpRequest
from speech_engine.sockets import Socket, SocketRequest


class UpstreamClient:
    """A `speech_engine.HttpClient` and a `SocketClient`. Use `open_http`."""

    def __init__(self, upstream: Upstream, proxy_of: ProxyOf | None) -> None:
        self._trust = _trust(Path(upstream.ca_file)) if upstream.ca_file else _usual_trust()
        self._pool = ConnectionPool(Places(upstream.connections), upstream.connections, self._trust)
        # A socket lives long, so it takes no place from requests.
        self._socket_places = Places(upstream.connections)
        self._proxy_of = proxy_of

    def __repr__(self) -> str:
        return f"<UpstreamClient {self._pool!r}>"

    def send(self, request: HttpRequest) -> AbstractAsyncContextManager[HttpAnswer]:
        headers, body = tuple(request.headers.items()), request.body
        if isinstance(body, HttpForm):
            media_type, body = form_body(body)
            headers = (*headers, ("content-type", media_type))
        via = None if self._proxy_of is None else self._proxy_of(request.url)
        head = request_head(request.method, request.url, headers, via)
        return Http1Exchange(self._pool, head, body, request.within_s, request.silence_s)

    @asynccontextmanager
    async def connect(self, request: SocketRequest) -> AsyncIterator[Socket]:
        # The environment variables for proxies distinguish http and https only.
        via = None if self._proxy_of is None else self._proxy_of(f"http{request.url.removeprefix('ws')}")
        # A thread imports the code, which most workers never need, so that no stream stutters.
        await asyncio.to_thread(importlib.import_module, "proxy.engines.http.websocket_client")
        from proxy.engines.http.websocket_client import open_socket

        async with open_socket(request, self._socket_places, self._trust, via and via.url) as socket:
            yield socket

    async def aclose(self) -> None:
        await self._pool.close()


def open_http(upstream: Upstream) -> AbstractAsyncContextManager[UpstreamClient]:
    return aclosing(UpstreamClient(upstream, forward_proxies(upstream.proxy, urllib.request.getproxies())))


@cache
def _usual_trust() -> ssl.SSLContext:
    """Return the certificates of the machine. Reading them takes 30 ms."""
    return _trust(None)


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    context.set_alpn_protocols(["http/1.1"])
    return context
