"""A resource declares each endpoint once, above the method that answers it.

The method's name is the operation's name, and the first paragraph of its docstring is the summary in OpenAPI.
A method may answer under both roots: under /v1 for an account, and under /admin for the operator.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, TypedDict, TypeVar, Unpack

from starlette.requests import Request
from starlette.responses import Response

from proxy.access.callers import caller_of
from proxy.errors import IdempotencyKeyReused, RequestUnderWay
from proxy.http.body import BODY_FAILURES
from proxy.http.endpoint import Access, Endpoint, Failure, Header, Pace, Query, Struct, is_admin_path, json
from proxy.http.idempotency import KEY_HEADER

_DECLARED = "declared"

Verb = Literal["GET", "POST", "PUT", "DELETE"]
Method = TypeVar("Method", bound=Callable[..., Awaitable[Response]])


class Details(TypedDict, total=False):
    """Further properties of an endpoint. See `Endpoint`."""

    status: int
    access: Access
    body: Struct
    other_bodies: tuple[Struct, ...]
    needs_body: bool
    form: Struct
    files: tuple[str, ...]
    queries: tuple[Query, ...]
    failures: tuple[Failure, ...]
    unready: Struct
    request_headers: tuple[Header, ...]
    headers: Mapping[str, str]
    some_headers: Mapping[str, str]
    pace: Pace
    is_for_suspended: bool


def endpoint(
    verb: Verb,
    path: str,
    *structs: Struct,
    media: tuple[str, ...] = (),
    name: str = "",
    summary: str = "",
    once: str = "",
    **details: Unpack[Details],
) -> Callable[[Method], Method]:
    """Declare the path of a method, which answers with one of the structs as JSON, or with one of the media
    types.

    `name` and `summary` are for a second path of the same method. An Idempotency-Key makes the thing that
    `once` names only once. The failures of a body and of such a key need no mention.
    """
    if once:
        details["request_headers"] = (KEY_HEADER, *details.get("request_headers", ()))
        replayed = {"x-voxgate-replayed": f"`true` if the same Idempotency-Key made the {once} before."}
        details["some_headers"] = {**details.get("some_headers", {}), **replayed}
        details["failures"] = (*details.get("failures", ()), RequestUnderWay, IdempotencyKeyReused)
    if details.keys() & {"body", "form", "files"}:
        details["failures"] = (*BODY_FAILURES, *details.get("failures", ()))
    media_types = {**(json(*structs) if structs else {}), **dict.fromkeys(media, ())}

    def declare(method: Method) -> Method:
        paragraph = (inspect.getdoc(method) or "").partition("\n\n")[0]
        declared = Endpoint(
            verb,
            path,
            method,
            name or method.__name__,
            summary or " ".join(paragraph.split()),
            media_types,
            **details,
        )
        # Decorators run from the lowest up, so each new path goes to the front.
        vars(method).setdefault(_DECLARED, []).insert(0, declared)
        return method

    return declare


class Resource:
    """The methods that answer for one kind of thing."""

    @property
    def endpoints(self) -> list[Endpoint]:
        """All its endpoints, in the order of the source: of two paths that fit, the first is taken."""
        return [
            declared._replace(handler=getattr(self, name))
            for name, method in vars(type(self)).items()
            for declared in getattr(method, _DECLARED, ())
        ]


def account_of(request: Request) -> str | None:
    """Return the caller's account under /v1, and None under /admin, where nothing has to be the caller's."""
    return None if is_admin_path(request.scope["path"]) else caller_of(request.scope).account
