"""The first check of a request: the terms of the caller's plan, and the requests of this minute."""

from __future__ import annotations

from typing import NamedTuple

from policies.plans import Terms
from policies.rate import Window
from proxy.access.callers import Caller
from proxy.access.limits import Limits
from proxy.access.plans import Plans


class AdmittedRequest(NamedTuple):
    """A request that was counted. `window` is the limit that will refuse first, if there is one."""

    terms: Terms
    window: Window | None


class Admission:
    def __init__(self, plans: Plans, limits: Limits) -> None:
        self._plans = plans
        self._limits = limits

    async def admit(self, caller: Caller) -> AdmittedRequest:
        """Raises RateLimited, NotAllowed where the account's plan is none, and LimitsUnavailable."""
        terms = self._plans.terms(caller)
        return AdmittedRequest(terms, await self._limits.admit(caller.account, caller.key, terms))
