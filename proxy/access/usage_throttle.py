"""How often an account may ask for its usage, and how many sums and exports of it are made at a time: they
cost the server more than a request for speech, and no plan counts them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from policies import rate
from proxy.access.callers import Caller
from proxy.access.limits import Limit, Limits
from proxy.errors import RateLimited

MOST_A_MINUTE = 60


class UsageThrottle:
    """One for each worker. Whoever asks over control.sock owns the server, and is not counted."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._taken: set[str] = set()

    def __repr__(self) -> str:
        return f"<UsageThrottle, {len(self._taken)} taken>"

    async def count(self, caller: Caller) -> None:
        """Raises RateLimited, and LimitsUnavailable."""
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
        """For a sum or an export, until it is made. Raises RateLimited while the account has another one."""
        if caller is None:
            yield
            return
        if caller.account in self._taken:
            raise RateLimited(
                "Your account has a sum or an export of usage under way; ask for one at a time.",
                retry_after_s=1.0,
            )
        self._taken.add(caller.account)
        try:
            yield
        finally:
            self._taken.remove(caller.account)
