"""Forward proxies: the choice of the proxy for a request, and the tunnel through it."""

from __future__ import annotations

import asyncio
import base64
import re
import urllib.request
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from speech_engine import EngineUnavailable

_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
_MOST_HEAD_BYTES = 64 * 1024
_PORTS = {"http": 80, "https": 443}


class ForwardProxy(NamedTuple):
    """A proxy server. `url` is its whole address. `authorization` is "" if the proxy needs none."""

    url: str
    scheme: str
    host: str
    port: int
    authorization: str

    def __repr__(self) -> str:
        return f"<ForwardProxy {self.host}:{self.port}>"

    @property
    def header_lines(self) -> str:
        return f"proxy-authorization: {self.authorization}\r\n" if self.authorization else ""

    @property
    def tls_name(self) -> str | None:
        """The host name for its certificate, if the proxy is reached over TLS."""
        return self.host if self.scheme == "https" else None

    def tunnel_to(self, host: str, port: int) -> bytes:
        """Return the CONNECT request for an encrypted connection to a server."""
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return f"CONNECT {place} HTTP/1.1\r\nhost: {place}\r\n{self.header_lines}\r\n".encode("ascii")


ProxyOf = Callable[[str], ForwardProxy | None]


def forward_proxies(setting: str, by_scheme: Mapping[str, str]) -> ProxyOf | None:
    """Return the function that chooses the proxy for a URL: the one of the `setting`, or else that of
    `by_scheme` (see `urllib.request.getproxies`), unless NO_PROXY names the host. None: there is no proxy."""
    if setting:
        proxy = read_proxy(setting)
        return lambda _url: proxy

    @lru_cache(maxsize=64)
    def of_host(scheme: str, host: str) -> ForwardProxy | None:
        url = None if urllib.request.proxy_bypass(host) else by_scheme.get(scheme)
        return read_proxy(url) if url else None

    def of_url(url: str) -> ForwardProxy | None:
        parts = urlsplit(url)
        return of_host(parts.scheme, parts.netloc.rpartition("@")[2])

    return of_url if by_scheme else None


def read_proxy(url: str) -> ForwardProxy:
    """Read a proxy's address. Raises EngineUnavailable for other text, unquoted: it may have a password."""
    try:
        # An address without a scheme, which HTTPS_PROXY may have, means plain HTTP.
        parts = urlsplit(url if "://" in url else f"http://{url}")
        usual_port = _PORTS[parts.scheme]
        port = parts.port or usual_port
    except (ValueError, KeyError):
        raise EngineUnavailable("The provider cannot be reached: HTTPS_PROXY names no HTTP proxy.") from None
    return ForwardProxy(parts.geturl(), parts.scheme, parts.hostname or "", port, basic_of(parts.geturl()))


def basic_of(url: str) -> str:
    """Return the `authorization` of the name and password in an address, or "" without them."""
    parts = urlsplit(url)
    if not parts.username:
        return ""
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


class TunnelAnswer(asyncio.Protocol):
    """The answer of a proxy to CONNECT. `opened` is done once its head has come, or fails with OSError."""

    def __init__(self) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._head = b""

    def data_received(self, data: bytes) -> None:
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if self.opened.done() or (end < 0 and len(self._head) <= _MOST_HEAD_BYTES):
            return
        found = _STATUS.match(self._head)
        status = "too long a head" if end < 0 else found[1].decode() if found else "no HTTP"
        if status.startswith("2"):
            self.opened.set_result(None)
        else:
            self._fail(f"the forward proxy answered {status}")

    def connection_lost(self, error: Exception | None) -> None:
        if not self.opened.done():
            self._fail("the forward proxy ended the connection")

    def _fail(self, reason: str) -> None:
        self.opened.set_exception(ConnectionRefusedError(None, reason))  # there is no errno
