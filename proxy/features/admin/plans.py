"""/admin/plans: the plans of the configuration, and the number of accounts on each."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from policies.limits import LIMITS, LimitRow, with_limits
from policies.plans import Agreed, Plan
from proxy.api.admin_tools import AdminTools
from proxy.config import credits
from proxy.features.admin.agreed_terms import ShownPrices, shown_prices
from proxy.http.replies import reply
from proxy.http.resource import Resource, endpoint
from proxy.storage import accounts


def _limit_type(row: LimitRow) -> Any:
    return row.shown_type | None if row.unit == "usd" else row.shown_type | Agreed | None


@with_limits(LIMITS, _limit_type)
class ShownPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A plan with its limits. Null means no limit, and `account` means that each account has its own.
    `allowance` is in credits a cycle. `engines` null means all. `accounts` counts open accounts."""

    name: str
    price: str
    engines: tuple[str, ...] | None
    prices: ShownPrices
    cache: bool
    local_only: bool
    one_shot: bool
    share: float
    accounts: int


class PlanList(msgspec.Struct, frozen=True, kw_only=True):
    """`missing` counts the open accounts on plans that the configuration no longer has."""

    object: Literal["list"] = "list"
    data: list[ShownPlan]
    missing: dict[str, int]


class PlanListing(Resource):
    def __init__(self, admin_tools: AdminTools) -> None:
        self._admin_tools = admin_tools

    @endpoint("GET", "/admin/plans", PlanList)
    async def list_plans(self, _request: Request) -> Response:
        """The plans of the configuration"""
        account_counts = await accounts.count_by_plan(self._admin_tools.store)
        plans = self._admin_tools.config.plans
        data = [_shown_plan(plan, account_counts.get(plan.name, 0)) for plan in plans.values()]
        missing = {name: count for name, count in account_counts.items() if name not in plans}
        return reply(PlanList(data=data, missing=missing))


def _shown_plan(plan: Plan, account_count: int) -> ShownPlan:
    return ShownPlan(
        name=plan.name,
        price=plan.price,
        engines=plan.engines,
        prices=shown_prices(plan.prices),
        cache=plan.cache,
        local_only=plan.local_only,
        one_shot=plan.one_shot,
        share=plan.share,
        accounts=account_count,
        **credits.shown_limits(plan),
    )
