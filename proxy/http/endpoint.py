"""The declaration of a route: its path, its function, and its description in OpenAPI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Literal, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, compile_path
from starlette.types import ASGIApp

from proxy.access.admission import RequestClass
from proxy.errors import RequestFailed

ADMIN_ROOT = "/admin"
"""Every path below needs a key of the role `admin`."""
HOSTS_ROOT = "/cluster"
"""Every path below needs a key of the role `host`, which reaches nothing else."""
JSON = "application/json"

Struct = type[msgspec.Struct]
Failure = type[RequestFailed]
Handler = Callable[[Request], Awaitable[Response]] | ASGIApp
Access = Literal["open", "catalogue", "key", "session", "fresh session"]
"""`open` needs no key. `catalogue` needs no key if the operator sets `public_catalogue`. A `session` is a
person who has signed in, whom no API key replaces; a `fresh session` began in the last minutes."""

Pace = Literal["usual", "list", "estimate", "usage", "webhook", "sample", "own"]
"""How often an endpoint may be called. With `own` it counts its requests itself, or needs no limit."""


class Query(NamedTuple):
    """A parameter after the question mark. It is never required."""

    name: str
    meaning: str
    values: tuple[str, ...] = ()


class Header(NamedTuple):
    """A header that a request may have. It is never required."""

    name: str
    meaning: str
    pattern: str


class Endpoint(NamedTuple):
    """One method on one path.

    `answers` maps the media type of a good answer to its structs, or to () if the answer is bytes or a
    document that describes itself. `unready` is the body of a 503 that is no error, and `accepted` that of a
    202, whose header `location` is where to look. `headers` are on each good answer of this endpoint,
    `some_headers` only on some; both map names to meanings. The body is a `body` or one of `other_bodies`. In
    multipart/form-data, the texts are a `form` or one of `other_forms`, and `files` are the names of its
    files. An endpoint that `is_direct` is found without the router, which costs time: its path has no
    parameters. With `is_for_suspended`, a session of a suspended account reaches it.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    handler: Handler
    name: str
    summary: str
    answers: Mapping[str, tuple[Struct, ...]]
    status: int = 200
    access: Access = "key"
    body: Struct | None = None
    other_bodies: tuple[Struct, ...] = ()
    needs_body: bool = True
    form: Struct | None = None
    other_forms: tuple[Struct, ...] = ()
    files: tuple[str, ...] = ()
    queries: tuple[Query, ...] = ()
    failures: tuple[Failure, ...] = ()
    unready: Struct | None = None
    accepted: Struct | None = None
    request_headers: tuple[Header, ...] = ()
    headers: Mapping[str, str] = {}
    some_headers: Mapping[str, str] = {}
    is_direct: bool = False
    pace: Pace = "usual"
    is_for_suspended: bool = False

    @property
    def route(self) -> Route:
        """A new Route at each read, which its reader may change."""
        return Route(self.path, self.handler, methods=[self.method])

    @property
    def request_class(self) -> RequestClass | None:
        """The class in which its requests are counted, if they are."""
        if self.pace == "own":
            return None
        if self.is_for_admins:
            return "admin"
        if self.pace != "usual":
            return self.pace
        return "read" if self.method == "GET" else "write"

    @property
    def shown_path(self) -> str:
        """The path as OpenAPI writes it: `{id}` where the router has `{id:path}`."""
        return compile_path(self.path)[1]

    @property
    def is_for_admins(self) -> bool:
        return is_admin_path(self.path)

    @property
    def is_for_hosts(self) -> bool:
        return self.path.startswith(HOSTS_ROOT)

    @property
    def needs_session(self) -> bool:
        return self.access in ("session", "fresh session")


def json_answer(*structs: Struct) -> Mapping[str, tuple[Struct, ...]]:
    """Declare an answer in JSON: any one of these structs."""
    return {JSON: structs}


def client_endpoints(endpoints: Iterable[Endpoint]) -> list[Endpoint]:
    return [endpoint for endpoint in endpoints if not endpoint.is_for_admins]


def admin_endpoints(endpoints: Iterable[Endpoint]) -> list[Endpoint]:
    return [endpoint for endpoint in endpoints if endpoint.is_for_admins]


def is_admin_path(path: str) -> bool:
    return path.startswith(ADMIN_ROOT)


class Paths:
    """The methods and paths of some endpoints."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        methods_and_paths = [(each.method, each.path) for each in endpoints]
        self._plain = frozenset(each for each in methods_and_paths if "{" not in each[1])
        self._patterns = tuple(
            (method, compile_path(path)[0]) for method, path in methods_and_paths if "{" in path
        )

    def contain_path(self, method: str, path: str) -> bool:
        wanted_method = "GET" if method == "HEAD" else method
        if (wanted_method, path) in self._plain:
            return True
        return any(wanted_method == each and pattern.match(path) for each, pattern in self._patterns)


def open_paths(endpoints: Iterable[Endpoint], public_catalogue: bool) -> Paths:
    """Return the paths that need no key."""
    keyless = {"open", "catalogue"} if public_catalogue else {"open"}
    return Paths(each for each in endpoints if each.access in keyless)
