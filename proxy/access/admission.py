"""Before anything is looked at: what the caller's plan says, and whether it may ask once more this minute."""

from __future__ import annotations

from typing import NamedTuple

from policies.plans import Terms
from policies.rate import Window
from proxy.access.callers import Caller
from proxy.access.limits import Limits
from proxy.access.plans import Plans


class AdmittedRequest(NamedTuple):
    """A request that was counted. `window` is the limit that will refuse first, where there is one."""

    terms: Terms
    window: Window | None


class Admission:
    def __init__(self, plans: Plans, limits: Limits) -> None:
        self._plans = plans
        self._limits = limits

    def __repr__(self) -> str:
        return f"<Admission {self._plans!r}, {self._limits!r}>"

    async def admit(self, caller: Caller) -> AdmittedRequest:
        """Raises RateLimited, NotAllowed where the account's plan is none, and LimitsUnavailable."""
        terms = self._plans.terms(caller)
        return AdmittedRequest(terms, await self._limits.admit(caller.account, caller.key, terms))
