"""The two apps of a worker: its endpoints, and the layers around them in the order from the outside."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from proxy.access.logins import Logins
from proxy.config.sections import Server
from proxy.http.edge import FailureReplies, KeyCheck, RequestIds, raise_http_exception
from proxy.http.endpoint import Endpoint, open_paths
from proxy.telemetry import Metrics

_EXPOSED = ("x-request-id", "retry-after", "retry-after-ms", "x-should-retry", "openai-processing-ms")
"""What a script of another origin may read of any answer. An endpoint's own headers come after these."""


def public_app(endpoints: Sequence[Endpoint], server: Server, logins: Logins, metrics: Metrics) -> Starlette:
    """Return what the port serves."""
    layers = [
        Middleware(RequestIds, metrics=metrics),
        Middleware(FailureReplies),
        Middleware(KeyCheck, logins=logins, open_paths=open_paths(endpoints, server.public_catalogue)),
    ]
    if server.cors_origins:
        layers.insert(1, _cors(endpoints, server.cors_origins))
    if server.trusted_proxies:
        # Only these proxies may say what the client's address is.
        layers.insert(0, Middleware(ProxyHeadersMiddleware, trusted_hosts=list(server.trusted_proxies)))
    return _app(endpoints, layers)


def control_app(endpoints: Sequence[Endpoint], metrics: Metrics) -> Starlette:
    """Return what control.sock serves. It needs no key: only the owner of the server can open the socket."""
    return _app(endpoints, [Middleware(RequestIds, metrics=metrics), Middleware(FailureReplies)])


def _app(endpoints: Sequence[Endpoint], layers: list[Middleware]) -> Starlette:
    app = Starlette(
        routes=[endpoint.route for endpoint in endpoints],
        middleware=layers,
        exception_handlers={HTTPException: raise_http_exception},
    )
    app.router.redirect_slashes = False
    return app


def _cors(endpoints: Sequence[Endpoint], origins: Sequence[str]) -> Middleware:
    own = chain.from_iterable((*endpoint.headers, *endpoint.some_headers) for endpoint in endpoints)
    return Middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=("GET", "POST", "PUT", "DELETE"),
        allow_headers=("*",),
        expose_headers=tuple(dict.fromkeys((*_EXPOSED, *own))),
    )
