"""The two ASGI apps of a worker, each an `Edge` around its endpoints. The public one also checks keys, counts
requests, and has CORS and trusted proxies if configured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from typing import Any, cast

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from proxy.access.admission import RequestClass, RequestCounter
from proxy.access.limits import Limits
from proxy.access.logins import Logins
from proxy.access.refusals import RefusalTotals
from proxy.access.sessions import Sessions, session_or_none
from proxy.config.sections import Server
from proxy.errors import (
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    RequestFailed,
    SessionNeeded,
    SignInAgain,
)
from proxy.http.closed_paths import NONE_CLOSED, ClosedPaths
from proxy.http.dialect import Dialect, dialect_of
from proxy.http.edge import Edge, KeyCheck
from proxy.http.endpoint import Endpoint, Paths, open_paths
from proxy.http.hosts import KnownHosts
from proxy.http.replies import failure_reply
from proxy.telemetry.metrics import Metrics

_EXPOSED_HEADERS = ("x-request-id", "retry-after", "retry-after-ms", "x-should-retry", "openai-processing-ms")
"""The headers that a script of another origin may read in any answer."""


def public_app(
    endpoints: Sequence[Endpoint],
    server: Server,
    logins: Logins,
    limits: Limits,
    metrics: Metrics,
    refusals: RefusalTotals | None = None,
    sessions: Sessions | None = None,
    closed_paths: ClosedPaths = NONE_CLOSED,
    dialects: Sequence[Dialect] = (),
) -> ASGIApp:
    """Return the app of the port. The `closed_paths` are those of features that are off."""
    endpoints = [*endpoints, *(each for dialect in dialects for each in dialect.endpoints)]
    counter = RequestCounter(limits)
    for_suspended = Paths(endpoint for endpoint in endpoints if endpoint.is_for_suspended)
    known_hosts = KnownHosts(server.hosts) if server.hosts else None
    edge = Edge(
        _router(
            (_guarded_route(endpoint, counter, sessions) for endpoint in endpoints), closed_paths, counter
        ),
        metrics,
        KeyCheck(
            logins, open_paths(endpoints, server.public_catalogue), known_hosts, sessions, for_suspended
        ),
        # No direct endpoint needs a session.
        {(each.method, each.path): _guarded_route(each, counter) for each in endpoints if each.is_direct},
        _cors_middleware(endpoints, server.cors_origins) if server.cors_origins else None,
        refusals,
        dialects,
    )
    if not server.trusted_proxies:
        return edge
    # Only these proxies may name the client's address. uvicorn and Starlette have different types for the
    # same three arguments.
    app: Any = ProxyHeadersMiddleware(cast(Any, edge), trusted_hosts=list(server.trusted_proxies))
    return cast(ASGIApp, app)


def control_app(
    endpoints: Sequence[Endpoint], metrics: Metrics, closed_paths: ClosedPaths = NONE_CLOSED
) -> ASGIApp:
    """Return the app of control.sock. It needs no key, since only the owner of the server can open the
    socket."""
    return Edge(_router((endpoint.route for endpoint in endpoints), closed_paths), metrics)


class _CountedApp:
    def __init__(self, app: ASGIApp, counter: RequestCounter, class_: RequestClass) -> None:
        self._app = app
        self._counter = counter
        self._class = class_

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._counter.count(self._class, scope)
        await self._app(scope, receive, send)


class _AppWithCountedRefusals(_CountedApp):
    """Counts only refused requests, so that strangers' webhooks do not hold up signed ones."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except RequestFailed:
            await self._counter.count(self._class, scope)
            raise


class _AppForSessions:
    """Refuses callers that have not signed in."""

    def __init__(self, app: ASGIApp, sessions: Sessions | None, needs_fresh: bool) -> None:
        self._app = app
        self._sessions = sessions
        self._needs_fresh = needs_fresh

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        session = session_or_none(scope)
        if session is None or self._sessions is None:
            raise SessionNeeded
        if self._needs_fresh and not await self._sessions.is_fresh(session):
            raise SignInAgain
        await self._app(scope, receive, send)


def _guarded_route(endpoint: Endpoint, counter: RequestCounter, sessions: Sessions | None = None) -> Route:
    route = endpoint.route
    if endpoint.needs_session:
        route.app = _AppForSessions(route.app, sessions, endpoint.access == "fresh session")
    if endpoint.request_class is not None:
        counting_app = _AppWithCountedRefusals if endpoint.pace == "webhook" else _CountedApp
        route.app = counting_app(route.app, counter, endpoint.request_class)
    return route


class _RoutesApp(Starlette):
    """Starlette without its own answers to exceptions, which the edge answers with our envelope."""

    def build_middleware_stack(self) -> ASGIApp:
        return ExceptionMiddleware(self.router, handlers=self.exception_handlers)


def _router(
    routes: Iterable[Route], closed_paths: ClosedPaths, counter: RequestCounter | None = None
) -> Starlette:
    # A path that ends with a parameter with slashes comes last: it would match longer paths, too.
    in_order = sorted(routes, key=lambda route: route.path.endswith(":path}"))
    app = _RoutesApp(
        routes=in_order,
        exception_handlers={HTTPException: partial(_raise_http_exception, closed_paths, counter)},
    )
    app.router.redirect_slashes = False
    return app


class _Cors(CORSMiddleware):
    """Starlette's CORS. A refused preflight gets our error envelope, and a good one has no body."""

    def preflight_response(self, request_headers: Headers) -> Response:
        answer = super().preflight_response(request_headers)
        answer_of_ours = Response()
        if answer.status_code >= 400:
            reason = bytes(answer.body).decode()
            answer_of_ours = failure_reply(InvalidRequest(f"{reason}.", code="cors_refused", param="Origin"))
        other_headers = [
            (name, value) for name, value in answer.raw_headers if not name.startswith(b"content-")
        ]
        answer_of_ours.raw_headers += other_headers
        return answer_of_ours


def _cors_middleware(endpoints: Sequence[Endpoint], origins: Sequence[str]) -> Callable[[ASGIApp], ASGIApp]:
    endpoint_headers = chain.from_iterable(
        (*endpoint.headers, *endpoint.some_headers) for endpoint in endpoints
    )
    return partial(
        _Cors,
        allow_origins=origins,
        allow_methods=("GET", "POST", "PUT", "DELETE"),
        allow_headers=("*",),
        expose_headers=tuple(dict.fromkeys((*_EXPOSED_HEADERS, *endpoint_headers))),
    )


async def _raise_http_exception(
    closed_paths: ClosedPaths, counter: RequestCounter | None, request: Request, error: Exception
) -> Response:
    """Raise our failures for Starlette's 404 and 405, after counting the request, since no route did."""
    assert isinstance(error, HTTPException)
    if counter is not None:
        await counter.count("unmatched", request.scope)
    path, method = request.scope["path"][:200], request.method
    if (reason := closed_paths.reason_closed(path)) is not None:
        sentence, is_removed = reason
        raise NotFound(sentence, code="removed") if is_removed else NotFound(sentence, code="feature_off")
    if error.status_code == 405:
        # Starlette itself names the methods of the first route only.
        matching_routes = [
            each for each in request.app.routes if each.matches(request.scope)[0] is not Match.NONE
        ]
        methods = {
            allowed_method
            for route in matching_routes
            for allowed_method in getattr(route, "methods", None) or ()
        }
        allowed, socket_path = ", ".join(sorted(methods)), f"{path}/stream"
        message = f"Not allowed to {method} on {path}. Allowed: {allowed}."
        paths = {getattr(route, "path", "") for route in request.app.routes}
        if "upgrade" in request.headers and socket_path in paths:
            message += f" A WebSocket opens at {socket_path}."
        raise MethodNotAllowed(message, headers={"allow": allowed})
    dialect = dialect_of(request.scope)
    root, path_prefix = ("v1", "") if dialect is None else (dialect.prefix[1:], dialect.prefix)
    raise NotFound(
        f"Unknown request URL: {method} {path}. This server offers speech synthesis; its base URL is "
        f"{request.base_url}{root}, see GET {path_prefix}/v1/models.",
        code="unknown_url",
    )
