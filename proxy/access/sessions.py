"""A person in a browser as a caller: a cookie in place of a key. The feature `users` has the sessions."""

from __future__ import annotations

from typing import Protocol

import msgspec
from starlette.types import Scope

from proxy.access.callers import Caller

COOKIE = "__Host-voxgate"
FRESH_US = 15 * 60 * 1_000_000
"""How long after its sign-in a session is fresh, in microseconds."""


class Session(msgspec.Struct, frozen=True):
    """A session, its user and its caller. The caller's key is the user's own row. The session is fresh until
    `fresh_until`, in microseconds."""

    id: str
    user: str
    caller: Caller
    fresh_until: int


class Sessions(Protocol):
    """The sessions of one revision of the configuration."""

    async def of_request(self, scope: Scope) -> Session | None:
        """Return the session of a request without a key. None: it has no cookie that counts.

        Raises SessionEnded, and what a read of the store raises.
        """
        ...

    async def is_fresh(self, session: Session) -> bool: ...


def session_of(scope: Scope) -> Session:
    session: Session = scope["state"]["session"]
    return session


def session_or_none(scope: Scope) -> Session | None:
    session: Session | None = scope["state"].get("session")
    return session
