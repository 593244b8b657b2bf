"""Limits on questions about usage: so many a minute, and one sum or export at a time for an account.

They cost the server more than a request for speech, and no plan counts them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from policies import rate
from proxy.access.callers import Caller
from proxy.access.limits import Limits
from proxy.access.windows import Limit
from proxy.errors import RateLimited

MOST_A_MINUTE = 60


class UsageThrottle:
    """The throttle of a worker. A client of control.sock owns the server and is not counted."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._busy_accounts: set[str] = set()

    def __repr__(self) -> str:
        return f"<UsageThrottle, {len(self._busy_accounts)} accounts busy>"

    async def count(self, caller: Caller) -> None:
        """Count a question. Raises RateLimited and LimitsUnavailable."""
        limit = Limit("usage", caller.account, MOST_A_MINUTE)
        if not await self._limits.take(limit):
            wait_s = rate.retry_after_s(await self._limits.wait_s(limit))
            raise RateLimited(
                f"Your account asked for its usage {MOST_A_MINUTE} times within a minute. "
                f"Try again in {wait_s} s.",
                retry_after_s=wait_s,
            )

    @contextmanager
    def one(self, caller: Caller | None) -> Iterator[None]:
        """Hold the account's one turn for a sum or an export. Raises RateLimited if the turn is taken."""
        if caller is None:
            yield
            return
        if caller.account in self._busy_accounts:
            raise RateLimited(
                "Your account has a sum or an export of usage under way; ask for one at a time.",
                retry_after_s=1.0,
            )
        self._busy_accounts.add(caller.account)
        try:
            yield
        finally:
            self._busy_accounts.remove(caller.account)
