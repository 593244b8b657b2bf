"""What a caller may do now: the terms of the account's plan, and the requests of this minute."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from cachetools import LRUCache

from policies.plans import MissingLimits, Plan, Terms, terms
from policies.rate import Window
from proxy.access.callers import Caller
from proxy.access.limits import Limits
from proxy.access.request_classes import RequestCounter
from proxy.errors import NotAllowed
from proxy.storage.rows import encode_json

_MOST_KEPT = 10_000


class Plans:
    """The plans of one revision of the configuration, and the terms that they give to a caller."""

    def __init__(self, plans: Mapping[str, Plan]) -> None:
        self._plans = plans
        # By key, beside the caller that they were made for. They count for this very caller alone: so there
        # is no time after which they are old, as in a ReadCache.
        self._kept: dict[str, tuple[Caller, Terms]] = {}
        # Callers with whom the same was agreed have the very same terms, and what was decided by them.
        self._shared: LRUCache[tuple[str, str, str], Terms] = LRUCache(_MOST_KEPT)

    def __repr__(self) -> str:
        return f"<Plans {', '.join(self._plans)}>"

    def __contains__(self, name: str) -> bool:
        return name in self._plans

    @property
    def by_name(self) -> Mapping[str, Plan]:
        return self._plans

    def terms(self, caller: Caller) -> Terms:
        """Return what holds for the caller. Raises NotAllowed if the configuration has no such plan any more,
        or if the plan leaves limits to an account that has none."""
        kept = self._kept.get(caller.key)
        if kept is not None and kept[0] is caller:
            return kept[1]
        caller_terms = self._terms(caller)
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[caller.key] = (caller, caller_terms)
        return caller_terms

    def _terms(self, caller: Caller) -> Terms:
        plan = self._plans.get(caller.plan)
        if plan is None:
            raise NotAllowed(
                f"Your account has the plan '{caller.plan}', which this server does not offer any more. "
                "Ask its operator.",
                code="plan_not_found",
            )
        agreed = (plan.name, encode_json(caller.agreed), encode_json(caller.caps))
        try:
            if (shared := self._shared.get(agreed)) is None:
                shared = self._shared[agreed] = terms(plan, caller.agreed, caller.caps)
        except MissingLimits as error:
            raise NotAllowed(
                f"The plan '{plan.name}' leaves {', '.join(error.missing)} to each account, and nothing was "
                "agreed with yours yet. Ask the server's operator.",
                code="plan_not_agreed",
            ) from None
        return shared


class AdmittedRequest(msgspec.Struct, frozen=True):
    """A request that was counted. `window` is the limit that will refuse first, if there is one."""

    terms: Terms
    window: Window | None


class Admission:
    """The first check of a request."""

    def __init__(self, plans: Plans, limits: Limits) -> None:
        self._plans = plans
        self._limits = limits
        self.counter = RequestCounter(limits)

    def terms(self, caller: Caller) -> Terms:
        """Return what holds for a caller, and count nothing. Raises NotAllowed."""
        return self._plans.terms(caller)

    async def admit(self, caller: Caller) -> AdmittedRequest:
        """Count a request. Raises NotAllowed without terms of a plan, RateLimited and LimitsUnavailable."""
        caller_terms = self._plans.terms(caller)
        window = await self._limits.admit(caller.account, caller.key, caller_terms)
        return AdmittedRequest(caller_terms, window)
