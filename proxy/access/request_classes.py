"""Requests a minute that are no speech, counted by class: what costs the server more may come less often.

Speech is counted by its plan, and health not at all. An account has these limits for all its keys together.
Where no key is needed, they are those of an address.
"""

from __future__ import annotations

from typing import Literal

from starlette.types import Scope

from policies import rate
from proxy.access.callers import caller_or_none
from proxy.access.limits import Limits
from proxy.access.logins import client_network
from proxy.access.windows import Limit
from proxy.errors import RateLimited

RequestClass = Literal["read", "list", "write", "usage", "file", "admin", "unmatched"]

MOST_A_MINUTE: dict[RequestClass, int] = {
    "read": 600,
    "list": 120,
    "write": 60,
    "usage": 60,
    "file": 30,  # one of a batch is made of its lines each time
    "admin": 600,
    "unmatched": 120,  # a path or a method that is not served
}


class RequestCounter:
    """The counter of a worker. A client of control.sock owns the server and is not counted."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def __repr__(self) -> str:
        return f"<RequestCounter in {self._limits!r}>"

    async def count(self, class_: RequestClass, scope: Scope) -> None:
        """Count a request. Raises RateLimited and LimitsUnavailable."""
        most = MOST_A_MINUTE[class_]
        caller = caller_or_none(scope)
        if caller is None:
            address, _ = scope.get("client") or ("", 0)
            limit = Limit(f"{class_}-address", client_network(address), most)
        else:
            limit = Limit(class_, caller.account, most)
        if await self._limits.take(limit):
            return
        wait_s = rate.retry_after_s(await self._limits.wait_s(limit))
        whose = "your address" if caller is None else "your account"
        raise RateLimited(
            f"Rate limit reached for {whose}: {most} requests a minute of the class '{class_}'. "
            f"Try again in {wait_s} s.",
            retry_after_s=wait_s,
        )
