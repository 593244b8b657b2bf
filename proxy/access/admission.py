"""The checks of a caller: the terms of its plan, requests a minute, and one sum of usage at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

from cachetools import LRUCache
from starlette.types import Scope

from policies import rate
from policies.plans import MissingLimits, Plan, Terms, build_terms
from policies.rate import Window
from proxy.access.callers import Caller, caller_or_none
from proxy.access.limits import Limits
from proxy.access.windows import Limit, address_limits
from proxy.config.sections import Config
from proxy.errors import NotAllowed, RateLimited
from proxy.storage.accounts import Account
from proxy.storage.rows import encode_json

_MOST_STORED = 10_000


class Plans:
    """The plans of one revision of the configuration, and the terms that they mean for a caller."""

    def __init__(self, plans: Mapping[str, Plan]) -> None:
        self._plans = plans
        # By key, the caller and its terms. They are valid only for this very object, so they need no expiry.
        self._admitted: dict[str, tuple[Caller, Terms]] = {}
        # Callers with equal agreements share one `Terms`, and so the decisions that are cached for it.
        self._shared: LRUCache[tuple[str, str, str, bool], Terms] = LRUCache(_MOST_STORED)

    def __contains__(self, name: str) -> bool:
        return name in self._plans

    @property
    def by_name(self) -> Mapping[str, Plan]:
        return self._plans

    def terms(self, caller: Caller) -> Terms:
        """Return the terms of a caller. Raises NotAllowed if the plan does not exist any more, or if it needs
        limits of the account that were not agreed."""
        admitted = self._admitted.get(caller.key)
        if admitted is not None and admitted[0] is caller:
            return admitted[1]
        caller_terms = self._terms(caller)
        if len(self._admitted) >= _MOST_STORED:
            self._admitted.clear()
        self._admitted[caller.key] = (caller, caller_terms)
        return caller_terms

    def _terms(self, caller: Caller) -> Terms:
        plan = self._plans.get(caller.plan)
        if plan is None:
            raise NotAllowed(
                f"Your account has the plan '{caller.plan}', which this server does not offer any more. "
                "Ask its operator.",
                code="plan_not_found",
            )
        sharing_key = (plan.name, encode_json(caller.agreed), encode_json(caller.caps), caller.has_paid)
        try:
            if (shared := self._shared.get(sharing_key)) is None:
                shared = self._shared[sharing_key] = build_terms(
                    plan, caller.agreed, caller.caps, has_paid=caller.has_paid
                )
        except MissingLimits as error:
            raise NotAllowed(
                f"The plan '{plan.name}' leaves {', '.join(error.missing)} to each account, and nothing was "
                "agreed with yours yet. Ask the server's operator.",
                code="plan_not_agreed",
            ) from None
        return shared


def terms_in_force(account: Account, config: Config) -> Terms | None:
    """Return the terms, or None if the plan is gone, or if the account lacks a limit that it leaves open."""
    try:
        return build_terms(config.plans[account.plan], account.agreed, has_paid=account.has_paid)
    except (KeyError, MissingLimits):
        return None


class Admission:
    """The first check of a request."""

    def __init__(self, plans: Plans, limits: Limits) -> None:
        self._plans = plans
        self._limits = limits
        self.counter = RequestCounter(limits)

    def terms(self, caller: Caller) -> Terms:
        return self._plans.terms(caller)

    async def admit(self, caller: Caller) -> tuple[Terms, Window | None]:
        """Count a request, and return its terms and the window of its limit.

        Raises NotAllowed without terms of a plan, RateLimited and LimitsUnavailable.
        """
        caller_terms = self._plans.terms(caller)
        return caller_terms, await self._limits.admit(caller.account, caller.key, caller_terms)

    async def count_steps(self, caller: Caller, steps: int) -> None:
        """Count the further requests that a job with so many steps is worth, beside the one that was counted.
        Raises as `admit` does."""
        if further := rate.requests_of_job(steps) - 1:
            await self._limits.admit(caller.account, caller.key, self._plans.terms(caller), further)


RequestClass = Literal[
    "read", "list", "write", "estimate", "usage", "file", "admin", "webhook", "sample", "unmatched"
]

MOST_A_MINUTE: dict[RequestClass, int] = {
    "read": 600,
    "list": 120,
    "write": 60,
    "estimate": 120,  # a page asks while its user types
    "usage": 60,
    "file": 30,  # a batch's file is made from its lines each time
    "admin": 600,
    "sample": 120,
    "webhook": 600,  # of a provider, all of whose accounts may pay at once
    "unmatched": 120,  # a path or a method that is not served
}


class RequestCounter:
    """Counts the requests a minute other than speech, by class: a class that costs more has a lower limit.

    All keys of an account share its limits. Requests without a key are counted by address. Speech is limited
    by its plan. Requests for health, and those over control.sock, are not counted.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    async def count(self, class_: RequestClass, scope: Scope) -> None:
        most = MOST_A_MINUTE[class_]
        caller = caller_or_none(scope)
        if caller is None:
            address, _ = scope.get("client") or ("", 0)
            limits = address_limits(f"{class_}-address", address, most)
        else:
            limits = (Limit(class_, caller.account, most),)
        if (full := await self._limits.count_request(*limits)) is None:
            return
        whose = "your address" if caller is None else "your account"
        raise full.refusal(
            f"Rate limit reached for {whose}: {full.limit.most} requests a minute of the class '{class_}'."
        )


class UsageThrottle:
    """Allows an account one sum or export of usage at a time: each costs the server more than speech does.

    A client of control.sock owns the server and never waits.
    """

    def __init__(self) -> None:
        self._busy_accounts: set[str] = set()

    @contextmanager
    def hold_turn(self, caller: Caller | None) -> Iterator[None]:
        """Let the account make no other sum or export during the block. Raises RateLimited if one is under
        way."""
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
