"""JSON bodies: the kinds of field that they share, and how a body is read."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Annotated, Any

from msgspec import Meta
from starlette.requests import Request

from proxy.config import credits
from proxy.config.fields import T
from proxy.errors import InvalidRequest, RequestTimeout, RequestTooLarge
from proxy.http.connection import Connection
from proxy.speech import speech_request

BODY_FAILURES = (InvalidRequest, RequestTimeout, RequestTooLarge)
"""The failures that any body may cause."""

_MAX_BODY_BYTES = 64 * 1024
# One large body at a time: each holds the interpreter's lock while it is decoded, and the loop waits.
_LARGE_BODY_THREAD = ThreadPoolExecutor(1, thread_name_prefix="large-body")
# Control characters are refused: databases refuse a NUL, and terminals interpret the others.
_PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f]*\Z"

Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        pattern=_PRINTABLE,
        description="a text of 1 to 100 printable characters",
    ),
]
Label = Annotated[
    str, Meta(max_length=100, pattern=_PRINTABLE, description="a text of up to 100 printable characters")
]
Title = Annotated[
    str, Meta(max_length=200, pattern=_PRINTABLE, description="a text of up to 200 printable characters")
]
ReasonText = Annotated[
    str, Meta(max_length=500, pattern=_PRINTABLE, description="a text of up to 500 printable characters")
]
NeededReason = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=500,
        pattern=_PRINTABLE,
        description="a text of 1 to 500 printable characters",
    ),
]
Tags = Annotated[
    tuple[Annotated[str, Meta(min_length=1, max_length=50, pattern=_PRINTABLE)], ...],
    Meta(max_length=20, description="a list of up to 20 texts of 1 to 50 printable characters"),
]
Labels = Annotated[
    dict[Label, ReasonText],
    Meta(
        max_length=20, description='an object of up to 20 texts by their names, such as {"accent": "Bahian"}'
    ),
]
LanguageTag = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*\Z",
        max_length=35,
        description="a language tag such as en, pt-BR or es-419",
    ),
]
LanguageTagOrEmpty = Annotated[
    str,
    Meta(
        pattern=r"^([A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*|)\Z",
        max_length=35,
        description="a language tag such as en, pt-BR or es-419, or empty",
    ),
]
EngineNames = Annotated[
    tuple[Annotated[str, Meta(min_length=1, max_length=100, pattern=_PRINTABLE)], ...],
    Meta(max_length=50, description="a list of up to 50 names of engines"),
]
AccountName = Annotated[
    str,
    Meta(min_length=1, max_length=100, pattern=_PRINTABLE, description="the id or the name of an account"),
]
SomeCredits = Annotated[
    float,
    Meta(gt=0, le=1e9, description="a number of credits above 0 and up to 1000000000, with up to 6 decimals"),
]
SignedCredits = Annotated[
    float,
    Meta(
        ge=-1e9,
        le=1e9,
        description="a number of credits, -1000000000 to 1000000000 but not 0, with up to 6 decimals",
    ),
]


async def read_body(request: Request, type_: type[T], most_bytes: int = _MAX_BODY_BYTES) -> T:
    raw = await read_raw_body(request, most_bytes)
    if len(raw) > _MAX_BODY_BYTES:
        # A body of this size would delay other requests.
        work = partial(speech_request.parse, type_, raw, most_bytes=most_bytes)
        return await asyncio.get_running_loop().run_in_executor(_LARGE_BODY_THREAD, work)
    return speech_request.parse(type_, raw)


async def read_optional_body(request: Request, type_: type[T]) -> T:
    """Read a body into a struct whose fields may all be left out, and so may the body."""
    return speech_request.parse(type_, await read_raw_body(request) or b"{}")


async def read_raw_body(request: Request, most_bytes: int = _MAX_BODY_BYTES) -> bytes:
    return await connection_of(request).body(most_bytes)


def connection_of(request: Request | Connection) -> Connection:
    if isinstance(request, Connection):
        return request
    return Connection(request.scope, request.receive, _no_send)


def micro_credits_of(number: float, field: str) -> int:
    """Return millionths of a credit. Raises InvalidRequest if the number has more than 6 decimals."""
    try:
        return credits.to_micro_credits(number)
    except ValueError:
        raise InvalidRequest(
            f"Invalid value for '{field}': it must have 6 decimals at most; got {number!r}.", param=field
        ) from None


def is_printable(id_or_name: str) -> bool:
    return re.search(_PRINTABLE, id_or_name) is not None


async def _no_send(_message: Any) -> None:
    """Send nothing: a handler with a `Request` returns its answer."""
