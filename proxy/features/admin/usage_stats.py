"""GET /v1/usage/stats: the account's cycle so far, on one page."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from policies.cycles import cycle_at
from proxy.access.admission import Plans
from proxy.access.callers import caller_of
from proxy.api.admin_tools import AdminTools
from proxy.catalogue.library import Library
from proxy.config import credits
from proxy.errors import NotAllowed
from proxy.features.admin import usage_sums
from proxy.features.admin.balance import Balance, ShownCycle, read_balance
from proxy.http.replies import reply
from proxy.http.resource import Resource, endpoint
from proxy.storage.usage import Period


class OperationSum(msgspec.Struct, frozen=True):
    """The requests of one operation. `credits` are those that were charged, without refunds."""

    operation: str
    requests: int
    minutes: float
    credits: float


class UsageStats(msgspec.Struct, frozen=True, kw_only=True):
    """The cycle so far. `operations` begin with the most credits. `voices` are saved ones."""

    plan: str
    cycle: ShownCycle
    credits: Balance
    voices: int
    operations: list[OperationSum]


class UsageStatistics(Resource):
    def __init__(self, admin_tools: AdminTools, plans: Plans, library: Library) -> None:
        self._ledger, self._throttle = admin_tools.ledger, admin_tools.usage_throttle
        self._plans = plans
        self._library = library

    @endpoint("GET", "/v1/usage/stats", UsageStats, failures=(NotAllowed,), pace="usage")
    async def get_usage_stats(self, request: Request) -> Response:
        """The cycle so far: minutes, requests and credits by operation, credits left, voices"""
        caller = caller_of(request.scope)
        terms, account = self._plans.terms(caller), caller.account
        with self._throttle.hold_turn(caller):
            balance = await read_balance(self._ledger, account, caller.key, caller.anchor, terms)
            cycle = cycle_at(caller.anchor, await self._ledger.store.now())
            period = Period(account, cycle.start, cycle.end)
            sums = await usage_sums.list_sums(self._ledger.store, period, "operation")
        library = await self._library.get(account)
        return reply(
            UsageStats(
                plan=terms.plan,
                cycle=balance.cycle,
                credits=balance.balance,
                voices=len(library.own.saved),
                operations=[
                    OperationSum(
                        each.name,
                        each.requests,
                        each.audio_ms / 60_000,
                        credits.to_credits(each.credits - each.refunded),
                    )
                    for each in sums
                ],
            )
        )
