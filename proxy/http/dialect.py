"""The dialect of another API below a path prefix: the header with its key, and the shape of its failures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from starlette.responses import Response
from starlette.types import Scope

from proxy.errors import RequestFailed
from proxy.http.endpoint import Endpoint
from proxy.http.replies import failure_reply


class Dialect(NamedTuple):
    """What clients of another API expect below `prefix`, such as "/elevenlabs".

    They send the key in `key_header`, a name in small letters, and in no other. `reply` answers each failure
    below the prefix, also that of a request that reached no endpoint. The `endpoints` are not in our OpenAPI
    document, since the other API has its own.
    """

    prefix: str
    key_header: str
    reply: Callable[[RequestFailed, Scope], Response]
    endpoints: Sequence[Endpoint] = ()

    def has_path(self, path: str) -> bool:
        return path.startswith(self.prefix) and path[len(self.prefix) :][:1] in ("", "/")


def note_dialect(dialects: Sequence[Dialect], scope: Scope) -> None:
    """Note the dialect of the path in `scope["state"]`, which must exist. Most paths have none."""
    for dialect in dialects:
        if dialect.has_path(scope["path"]):
            scope["state"]["dialect"] = dialect


def dialect_of(scope: Scope) -> Dialect | None:
    dialect: Dialect | None = scope.get("state", {}).get("dialect")
    return dialect


def failure_reply_for(failure: RequestFailed, scope: Scope) -> Response:
    """Return the answer to a failure in the shape of the path's dialect."""
    dialect = dialect_of(scope)
    return failure_reply(failure) if dialect is None else dialect.reply(failure, scope)
