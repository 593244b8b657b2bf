"""The layers around every endpoint, in pure ASGI: request id and log line, failures, keys.

They stand in this order from the outside, so that a refusal by any of them has the id and the envelope.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from policies.rate import Window
from proxy.access.limits import rate_headers
from proxy.access.logins import Logins
from proxy.errors import (
    ClientLeft,
    InternalError,
    InvalidKey,
    MethodNotAllowed,
    NotAllowed,
    NotFound,
    RequestFailed,
    StorageUnavailable,
    UpstreamFailed,
)
from proxy.http.endpoint import is_admin_path
from proxy.http.replies import failure_reply
from proxy.logs import RequestLine, log_request
from proxy.storage.store import StorageFailed
from proxy.telemetry import Metrics, without_values

_log = structlog.get_logger()


class RequestIds:
    """Give every request its id and its time. Write one log line and one count when the request is over."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        # Unique after restarts too, and cheaper than random bytes for each request.
        self._process_token = secrets.token_hex(8)
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        id_ = f"req_{self._process_token}{next(self._numbers):08x}"
        scope.setdefault("state", {})["request_id"] = id_
        if len(scope["path"]) > 1:
            # The path is answered as it is: a redirect would turn a POST into a GET.
            scope["path"] = scope["path"].rstrip("/") or "/"
        began = time.monotonic()
        status, complete = 0, False

        async def send_marked(message: Message) -> None:
            nonlocal status, complete
            if message["type"] == "http.response.start":
                status = message["status"]
                elapsed_ms = round((time.monotonic() - began) * 1000)
                message["headers"] = [
                    *message.get("headers", []),
                    *_rate(scope["state"].get("rate")),
                    *_route(scope["state"].get("route")),
                    (b"x-request-id", id_.encode()),
                    (b"openai-processing-ms", str(elapsed_ms).encode()),
                ]
            elif message["type"] == "http.response.body" and not message.get("more_body", False):
                complete = True
            await send(message)

        self._metrics.request_began()
        try:
            await self._app(scope, receive, send_marked)
        finally:
            self._end(scope, id_, status, complete, time.monotonic() - began)

    def _end(self, scope: Scope, id_: str, status: int, complete: bool, seconds: float) -> None:
        # The template of the route, never the path: a path may be long, secret, or different each time.
        route = getattr(scope.get("route"), "path", "unmatched")
        self._metrics.request_ended(route, status, aborted=status != 0 and not complete)
        caller = scope["state"].get("caller")
        log_request(
            RequestLine(
                request=id_,
                method=scope["method"],
                route=route,
                status=status,
                complete=complete,
                ms=round(seconds * 1000, 1),
                account=caller.account if caller else None,
                key=caller.key if caller else None,
            )
        )


def _rate(window: Window | None) -> list[tuple[bytes, bytes]]:
    if window is None:
        return []
    return [(name.encode(), value.encode()) for name, value in rate_headers(window)]


def _route(description: str | None) -> list[tuple[bytes, bytes]]:
    return [] if description is None else [(b"x-voxgate-route", description.encode("ascii", "replace"))]


class FailureReplies:
    """Turn every failure into OpenAI's envelope, or into a broken connection.

    When the headers are out, the status cannot change. Then this layer returns without the end of the body,
    and the server closes the connection without a clean end, which tells the client that the answer failed.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, send_watched)
        except ClientLeft:
            return
        except RequestFailed as failure:
            answer = failure_reply(failure)
        except asyncio.CancelledError:
            # A drain has ended. Without an answer from here, uvicorn would send one in plain text.
            if not started:
                shutting_down = UpstreamFailed("The server is shutting down.", retry_after_s=1.0)
                await failure_reply(shutting_down)(scope, receive, send)
            raise
        except StorageFailed as error:
            _log.error("storage.failed", request=scope["state"]["request_id"], reason=str(error))
            answer = failure_reply(StorageUnavailable())
        except Exception as error:  # noqa: BLE001 - the seam at the top of a request: logged with its id
            _log.error("request.failed", request=scope["state"]["request_id"], exc_info=without_values(error))
            answer = failure_reply(InternalError())
        if not started:
            await answer(scope, receive, send)


class KeyCheck:
    """Check the key before route, method and body, so that a client without a key learns nothing."""

    def __init__(self, app: ASGIApp, logins: Logins, open_paths: frozenset[str]) -> None:
        self._app = app
        self._logins = logins
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        secret = presented_key(scope)
        if secret or scope["method"] not in ("GET", "HEAD") or scope["path"] not in self._open_paths:
            if not secret:
                raise InvalidKey(
                    "You didn't provide an API key. Send it in the Authorization header: "
                    "Authorization: Bearer YOUR_KEY."
                )
            address, _ = scope.get("client") or ("", 0)
            caller = await self._logins.identify(secret, address)
            scope["state"]["caller"] = caller
            if is_admin_path(scope["path"]) and caller.role != "admin":
                raise NotAllowed("This key has the role 'speech'; /admin needs a key with the role 'admin'.")
        await self._app(scope, receive, send)


def presented_key(scope: Scope) -> str:
    """Return the key in `Authorization: Bearer …`, or in Azure's `api-key`, or "" without one."""
    azure_key = ""
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, rest = value.decode("latin-1").strip().partition(" ")
            return rest.strip() if scheme.lower() == "bearer" else ""
        if name == b"api-key":
            azure_key = value.decode("latin-1").strip()
    return azure_key


async def raise_http_exception(request: Request, error: Exception) -> Response:
    """Turn Starlette's own 404 and 405 into failures of this server."""
    assert isinstance(error, HTTPException)
    path, method = request.scope["path"][:200], request.method
    if error.status_code == 405:
        allowed = ", ".join(_allowed_methods(request))
        raise MethodNotAllowed(
            f"Not allowed to {method} on {path}. Allowed: {allowed}.", headers={"allow": allowed}
        )
    raise NotFound(
        f"Unknown request URL: {method} {path}. This server offers speech synthesis; its base URL is "
        f"{request.base_url}v1, see GET /v1/models.",
        code="unknown_url",
    )


def _allowed_methods(request: Request) -> list[str]:
    """Return the methods of all routes with this path. Starlette itself names those of the first one only."""
    routes = request.app.routes
    here = (route for route in routes if route.matches(request.scope)[0] is not Match.NONE)
    return sorted({method for route in here for method in getattr(route, "methods", None) or ()})
