"""One sum or export of usage at a time for an account: each costs the server more than speech does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from proxy.access.callers import Caller
from proxy.errors import RateLimited


class UsageThrottle:
    """The turns of a worker. A client of control.sock owns the server and never waits."""

    def __init__(self) -> None:
        self._busy_accounts: set[str] = set()

    def __repr__(self) -> str:
        return f"<UsageThrottle, {len(self._busy_accounts)} accounts busy>"

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
