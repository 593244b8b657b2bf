"""The outermost layer of every request, in pure ASGI: its id, its log line, its key, and its failures."""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

import msgspec
import structlog
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from policies.rate import Window
from proxy.access.limits import rate_headers
from proxy.access.logins import Logins
from proxy.access.refusals import RefusalTotals
from proxy.access.sessions import Session, Sessions
from proxy.errors import (
    AccountSuspended,
    ClientLeft,
    InternalError,
    InvalidKey,
    InvalidRequest,
    NotAllowed,
    RequestFailed,
    SignInAgain,
    UpstreamFailed,
)
from proxy.http.connection import FIRST_BODY, BodyQuota
from proxy.http.dialect import Dialect, dialect_of, failure_reply_for, note_dialect
from proxy.http.endpoint import ADMIN_ROOT, HOSTS_ROOT, Paths
from proxy.http.hosts import KnownHosts
from proxy.http.replies import COMMON_HEADERS, NO_SNIFFING
from proxy.storage.key_records import Role
from proxy.storage.store import StorageFailed
from proxy.telemetry.background import without_values
from proxy.telemetry.logs import RequestLine, log_request
from proxy.telemetry.metrics import Metrics

_log = structlog.get_logger()

_ROLE_BY_ROOT: dict[str, Role] = {ADMIN_ROOT: "admin", HOSTS_ROOT: "host"}
_ROOTS_WITH_ROLE = tuple(_ROLE_BY_ROOT)

_AZURE_ROOT = re.compile(r"/openai(?:/v1(?=/|\Z)|/deployments/(?P<model>.+)(?=/audio/speech\Z)|(?=/))")

_OFFERED_KEY = re.compile(rb"(?:^|,)\s*openai-insecure-api-key\.([^,\s]+)")
"""A browser sets no header of a handshake, but can offer subprotocols. The name is OpenAI's."""

MethodAndPath = tuple[str, str]


class Exchange:
    """One request and its answer: the id, the time, and how far the answer is. `status` is 0 until the
    headers go out. `code` is that of the failure, or UNSET.

    `send` replaces the server's own: it adds the headers that every answer has. The other layers share values
    in `scope["state"]`: `request_id`, `caller`, `bodies` (the `BodyQuota`), `streams` (what is open), `rate`
    (the caller's window of requests a minute), `route` (which engines may speak, for operators),
    `is_recorded` (whether usage gets a row of this request, however it ends) and `deployment` (the model that
    a path of Azure names).
    """

    __slots__ = ("_began_s", "_is_finished", "_scope", "_send", "code", "is_complete", "status")

    def __init__(self, scope: Scope, send: Send, id_: str) -> None:
        self.status = 0
        self.is_complete = False
        self.code: str | msgspec.UnsetType = msgspec.UNSET
        self._is_finished = False
        self._began_s = time.monotonic()
        self._scope = scope
        self._send = send
        scope.setdefault("state", {})["request_id"] = id_

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, state = message["status"], self._scope["state"]
            window: Window | None = state.get("rate")
            description: str | None = state.get("route")
            headers = [*message.get("headers", ())]
            headers += (NO_SNIFFING,) if b"cache-control" in dict(headers) else COMMON_HEADERS
            if window is not None:
                headers += rate_headers(window)
            if description is not None:
                headers.append((b"x-voxgate-route", description.encode("ascii", "replace")))
            elapsed_ms = round((time.monotonic() - self._began_s) * 1000)
            headers.append((b"x-request-id", state["request_id"].encode()))
            headers.append((b"openai-processing-ms", b"%d" % elapsed_ms))
            message["headers"] = headers
            body = message.get(FIRST_BODY)
        else:
            body = message
        if body is not None and not body.get("more_body", False):
            self.is_complete = True
        await self._send(message)

    def finish(self, metrics: Metrics) -> None:
        """Write one log line and one count. Call it when the request is over. A second call does nothing."""
        if self._is_finished:
            return
        self._is_finished = True
        # This repeats `route_of`, to save a call for every request.
        route = getattr(self._scope.get("route"), "path", "unmatched")
        code = None if self.code is msgspec.UNSET else self.code
        metrics.count_request(route, self.status, code, aborted=self.status != 0 and not self.is_complete)
        state = self._scope["state"]
        caller = state.get("caller")
        log_request(
            RequestLine(
                request=state["request_id"],
                method=self._scope["method"],
                route=route,
                status=self.status,
                complete=self.is_complete,
                ms=round((time.monotonic() - self._began_s) * 1000, 1),
                account=caller.account if caller else None,
                key=caller.key if caller else None,
                code=self.code,
            )
        )


class KeyCheck:
    """Checks the key before route, method and body, so that a client without a key learns nothing.

    With `hosts`, the header `Host` is checked before the key. With `sessions`, a request without a key may
    have the cookie of a person who has signed in. If the account of that person is suspended, only the paths
    `for_suspended` are open.
    """

    def __init__(
        self,
        logins: Logins,
        open_paths: Paths,
        hosts: KnownHosts | None = None,
        sessions: Sessions | None = None,
        for_suspended: Paths | None = None,
    ) -> None:
        self._logins = logins
        self._open_paths = open_paths
        self._hosts = hosts
        self._sessions = sessions
        self._for_suspended = for_suspended or Paths(())
        self._bodies = BodyQuota()

    async def check_key(self, scope: Scope) -> None:
        """Note the caller in the scope. Raises UnknownHost, InvalidKey, NotAllowed, AccountSuspended,
        SessionEnded, SignInAgain, and what `Logins.identify` raises."""
        if self._hosts is not None:
            self._hosts.check_host(scope)
        secret = presented_key(scope)
        if not secret and await self._is_known_without_key(scope):
            return
        if not secret:
            names = {name for name, _ in scope["headers"]}
            # A browser asks whether a page of another origin may send a request. With `cors_origins`, it was
            # answered before.
            if scope["method"] == "OPTIONS" and b"access-control-request-method" in names:
                raise InvalidRequest(
                    "No page of another origin may call this server: [server] cors_origins lists none.",
                    code="cors_refused",
                    param="Origin",
                )
            raise InvalidKey(_key_fault(scope))
        address, _ = scope.get("client") or ("", 0)
        caller = await self._logins.identify(secret, address)
        scope["state"]["caller"] = caller
        scope["state"]["bodies"], scope["state"]["streams"] = self._bodies, self._logins.streams
        if caller.is_suspended:
            raise AccountSuspended
        if caller.role == "host" or scope["path"].startswith(_ROOTS_WITH_ROLE):
            _check_role(caller.role, scope["path"])

    async def _is_known_without_key(self, scope: Scope) -> bool:
        """Tell whether the request needs no key: its path is open, or it has a session."""
        is_open = self._open_paths.contain_path(scope["method"], scope["path"])
        try:
            session = await self._sessions.of_request(scope) if self._sessions else None
        except RequestFailed:
            if is_open:
                return True
            raise
        if session is not None:
            state, streams = scope["state"], self._logins.streams
            state.update(caller=session.caller, session=session, bodies=self._bodies, streams=streams)
            if not is_open:
                await self._check_rights(scope, session)
        return is_open or session is not None

    async def _check_rights(self, scope: Scope, session: Session) -> None:
        """Raise AccountSuspended, NotAllowed or SignInAgain."""
        assert self._sessions is not None, "it has the session"
        caller, is_admin = session.caller, scope["path"].startswith(ADMIN_ROOT)
        if caller.is_suspended and not self._for_suspended.contain_path(scope["method"], scope["path"]):
            raise AccountSuspended
        if scope["path"].startswith(HOSTS_ROOT):
            _check_role("speech", scope["path"])
        if is_admin and caller.role != "admin":
            raise NotAllowed("Only an operator of this server may do this.")
        if is_admin and scope["method"] not in ("GET", "HEAD") and not await self._sessions.is_fresh(session):
            raise SignInAgain


class Edge:
    """One callable around all endpoints.

    `direct_routes` are found without the router. Without `keys`, every client may do everything.
    `middleware` is CORS; its own answers have an id and a log line, too. `refusals` counts refused requests.
    Each of `dialects` decides the header of the key and the shape of failures below its prefix.
    """

    def __init__(
        self,
        routes: ASGIApp,
        metrics: Metrics,
        keys: KeyCheck | None = None,
        direct_routes: Mapping[MethodAndPath, Route] | None = None,
        middleware: Callable[[ASGIApp], ASGIApp] | None = None,
        refusals: RefusalTotals | None = None,
        dialects: Sequence[Dialect] = (),
    ) -> None:
        self.routes = routes
        self._dialects = dialects
        self._prefixes = tuple(dialect.prefix for dialect in dialects)
        self._metrics = metrics
        self._keys = keys
        self._refusals = refusals
        self.direct_routes = direct_routes or {}
        self._app: ASGIApp = self._answer_or_fail
        if middleware is not None:
            self._app = partial(self._finish_after, middleware(self._answer_or_fail))
        # A random token of this process and a number: cheaper than random bytes for each request.
        self._process_token = secrets.token_hex(8)
        self._numbers = itertools.count(1)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self.routes(scope, receive, send)
        exchange = Exchange(scope, send, f"req_{self._process_token}{next(self._numbers):08x}")
        scope["state"]["exchange"] = exchange
        if len(scope["path"]) > 1:
            # No redirect to another path, since it would turn a POST into a GET.
            scope["path"] = scope["path"].rstrip("/") or "/"
        if (azure := _AZURE_ROOT.match(scope["path"])) is not None:
            # The paths of Azure's clients lead to ours. Their query `api-version` has no effect.
            scope["path"] = f"/v1{scope['path'][azure.end() :]}"
            if azure["model"]:
                scope["state"]["deployment"] = azure["model"]
        if scope["path"].startswith(self._prefixes):
            note_dialect(self._dialects, scope)
        self._metrics.in_flight += 1
        return self._app(scope, receive, exchange.send)

    async def _finish_after(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Finish a request that the middleware may answer itself."""
        try:
            await app(scope, receive, send)
        finally:
            scope["state"]["exchange"].finish(self._metrics)

    async def _answer_or_fail(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request. A failure becomes OpenAI's envelope, or a broken connection.

        When the headers are out, the status cannot change. Then this returns without the end of the body, and
        the server closes the connection without a clean end: that tells the client that the answer failed.
        """
        exchange: Exchange = scope["state"]["exchange"]
        try:
            if self._keys is not None:
                await self._keys.check_key(scope)
            route = self.direct_routes.get((scope["method"], scope["path"]))
            if route is None:
                await self.routes(scope, receive, send)
            else:
                scope["route"] = route
                await route.app(scope, receive, send)
        except ClientLeft:
            pass
        except asyncio.CancelledError:
            # The drain has ended. Without this answer, uvicorn would send plain text.
            if not exchange.status:
                shutting_down = UpstreamFailed("The server is shutting down.", retry_after_s=1.0)
                await failure_reply_for(shutting_down, scope)(scope, receive, send)
            raise
        except Exception as error:  # noqa: BLE001 - the seam at the top of a request: logged with its id
            failure = _failure_of(error, scope["state"]["request_id"])
            if not exchange.status:
                self._note_refusal(exchange, failure, scope)
                await failure_reply_for(failure, scope)(scope, receive, send)
        finally:
            exchange.finish(self._metrics)

    def _note_refusal(self, exchange: Exchange, failure: RequestFailed, scope: Scope) -> None:
        """Note a refusal for the log, and for the account of a known key unless usage has it."""
        exchange.code = failure.code
        state = scope["state"]
        caller = state.get("caller")
        if caller is not None and self._refusals is not None and not state.get("is_recorded"):
            self._refusals.count_refusal(caller, route_of(scope), failure)


def _failure_of(error: Exception, request: str) -> RequestFailed:
    """Return what the client is told, and log what it is not told."""
    if isinstance(error, RequestFailed):
        return error
    if isinstance(error, StorageFailed):
        _log.error("storage.failed", request=request, reason=str(error))
        return error.failure()
    _log.error("request.failed", request=request, exc_info=without_values(error))
    return InternalError()


def route_of(scope: Scope) -> str:
    """Return the template of the route, never the path: a path may be long, secret, or always different."""
    template: str = getattr(scope.get("route"), "path", "unmatched")
    return template


def _check_role(role: Role, path: str) -> None:
    """Raise NotAllowed if a key of this role may not reach a path."""
    root = next((each for each in _ROLE_BY_ROOT if path.startswith(each)), "/v1")
    needed = _ROLE_BY_ROOT.get(root, "speech")
    if role != needed:
        raise NotAllowed(f"This key has the role '{role}'; {root} needs a key with the role '{needed}'.")


def presented_key(scope: Scope) -> str:
    """Return the key in `Authorization: Bearer …`, in Azure's `api-key`, or in a subprotocol.

    Below the prefix of a dialect, only its own header counts. Without a key, return "".
    """
    # This repeats `dialect_of`, to save a call for every request.
    if (dialect := scope.get("state", {}).get("dialect")) is not None:
        key: bytes = dict(scope["headers"]).get(dialect.key_header.encode(), b"")
        return key.decode("latin-1").strip()
    other_key = ""
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, rest = value.decode("latin-1").strip().partition(" ")
            return rest.strip() if scheme.lower() == "bearer" else ""
        if name == b"api-key":
            other_key = value.decode("latin-1").strip()
        if name == b"sec-websocket-protocol" and (subprotocol := _OFFERED_KEY.search(value)):
            other_key = other_key or subprotocol[1].decode("latin-1")
    return other_key


def _key_fault(scope: Scope) -> str:
    """Tell why no key was read, and where to send it. The value of a header is not shown, since it may be
    the key."""
    fields, dialect = dict(scope["headers"]), dialect_of(scope)
    other_names = [b"xi-api-key", b"x-api-key"]
    if dialect is not None:
        advice = f"Send it in the header '{dialect.key_header}'."
        other_names = [b"authorization", b"api-key", b"x-api-key"]
    else:
        advice = "Send it in the Authorization header: Authorization: Bearer YOUR_KEY."
        if b"authorization" in fields:
            return f"The header 'Authorization' came without the word Bearer and a key behind it. {advice}"
    fault = "You didn't provide an API key."
    for name in other_names:
        if name in fields:
            fault = f"A key in the header '{name.decode()}' is not read here."
            break
    return f"{fault} {advice}"
