"""A resource declares each endpoint once, above the method that answers it.

The method's name is the operation's name, and the first paragraph of its docstring is the summary in OpenAPI.
A method may answer under both roots: under /v1 for an account, and under /admin for the operator.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, NamedTuple, TypedDict, TypeVar, Unpack

from starlette.requests import Request
from starlette.responses import Response

from proxy.access.callers import caller_of
from proxy.errors import IdempotencyKeyReused, RequestUnderWay
from proxy.http.body import BODY_FAILURES
from proxy.http.endpoint import (
    Access,
    Endpoint,
    Failure,
    Header,
    Pace,
    Query,
    Struct,
    is_admin_path,
    json_answer,
)
from proxy.http.idempotency import KEY_HEADER

_ENDPOINTS_ATTRIBUTE = "declared"

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
    other_forms: tuple[Struct, ...]
    files: tuple[str, ...]
    queries: tuple[Query, ...]
    failures: tuple[Failure, ...]
    unready: Struct
    accepted: Struct
    request_headers: tuple[Header, ...]
    headers: Mapping[str, str]
    some_headers: Mapping[str, str]
    pace: Pace
    is_for_suspended: bool


class SecondPath(NamedTuple):
    """Another path of a method, and in what its endpoint differs. An Idempotency-Key has no effect there."""

    path: str
    name: str
    summary: str
    structs: tuple[Struct, ...]
    details: Details


def second_path(
    path: str, name: str, *structs: Struct, summary: str = "", **details: Unpack[Details]
) -> SecondPath:
    """Return a second path of a method, most often the one under /admin. What is not given is as at the first
    path."""
    return SecondPath(path, name, summary, structs, details)


def endpoint(
    verb: Verb,
    path: str,
    *structs: Struct,
    media: tuple[str, ...] = (),
    name: str = "",
    makes_once: str = "",
    also: SecondPath | None = None,
    **details: Unpack[Details],
) -> Callable[[Method], Method]:
    """Declare the endpoint of a method, which answers with one of the structs as JSON, or with one of the
    media types.

    With `makes_once`, the endpoint takes an Idempotency-Key. It names the thing that a repeated request does
    not make again. The failures of a body and of such a key are added here.
    """

    def declare(method: Method) -> Method:
        paragraph = (inspect.getdoc(method) or "").partition("\n\n")[0]
        summary = " ".join(paragraph.split())
        first_details = _with_body_failures(_with_idempotency(details, makes_once) if makes_once else details)
        declared = [
            Endpoint(
                verb,
                path,
                method,
                name or method.__name__,
                summary,
                _structs_by_media(structs, media),
                **first_details,
            )
        ]
        if also is not None:
            types = _structs_by_media(also.structs or structs, media)
            second_details = _with_body_failures({**details, **also.details})
            declared.append(
                Endpoint(verb, also.path, method, also.name, also.summary or summary, types, **second_details)
            )
        # Decorators run from the lowest up, so new paths go to the front.
        vars(method).setdefault(_ENDPOINTS_ATTRIBUTE, [])[:0] = declared
        return method

    return declare


def _structs_by_media(structs: tuple[Struct, ...], media: tuple[str, ...]) -> dict[str, tuple[Struct, ...]]:
    return {**(json_answer(*structs) if structs else {}), **dict.fromkeys(media, ())}


def _with_body_failures(details: Details) -> Details:
    if details.keys() & {"body", "form", "files"}:
        return {**details, "failures": (*BODY_FAILURES, *details.get("failures", ()))}
    return details


def _with_idempotency(details: Details, made_thing: str) -> Details:
    replayed = {"x-voxgate-replayed": f"`true` if the same Idempotency-Key made the {made_thing} before."}
    return {
        **details,
        "request_headers": (KEY_HEADER, *details.get("request_headers", ())),
        "some_headers": {**details.get("some_headers", {}), **replayed},
        "failures": (*details.get("failures", ()), RequestUnderWay, IdempotencyKeyReused),
    }


class Resource:
    """The methods that answer for one kind of thing."""

    @property
    def endpoints(self) -> list[Endpoint]:
        """All its endpoints, in the order of the source: of two paths that fit, the first is taken."""
        return [
            declared._replace(handler=getattr(self, name))
            for name, method in vars(type(self)).items()
            for declared in getattr(method, _ENDPOINTS_ATTRIBUTE, ())
        ]


def account_of(request: Request) -> str | None:
    """Return the caller's account under /v1, and None under /admin, where nothing has to be the caller's."""
    return None if is_admin_path(request.scope["path"]) else caller_of(request.scope).account
