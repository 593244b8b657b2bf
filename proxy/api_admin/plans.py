"""/admin/plans: what the configuration offers, and how many accounts have it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from policies.plans import Agreed, Limit, Plan
from proxy.api_admin.account_overrides import ShownPrices, shown_prices
from proxy.api_admin.administration import Administration
from proxy.config import credits
from proxy.http.replies import reply
from proxy.storage import accounts


class ShownPlan(msgspec.Struct, frozen=True, kw_only=True):
    """`allowance` is in credits a cycle. Null is no limit, `account` a limit of each account's own;
    `engines` null means all. `accounts` counts those that are open."""

    name: str
    price: str
    allowance: float | Agreed | None
    rpm: Limit
    streams: Limit
    voices: Limit
    max_characters: Limit
    engines: tuple[str, ...] | None
    prices: ShownPrices
    cache: bool
    one_shot: bool
    local_only: bool
    share: float
    budget_usd_day: float | None
    budget_usd_month: float | None
    accounts: int


class PlanList(msgspec.Struct, frozen=True, kw_only=True):
    """`missing` counts the open accounts on plans that the configuration has no more."""

    object: Literal["list"] = "list"
    data: list[ShownPlan]
    missing: dict[str, int]


class PlanPage:
    def __init__(self, administration: Administration) -> None:
        self._administration = administration

    async def list_(self, _request: Request) -> Response:
        counted = await accounts.by_plan(self._administration.store)
        plans = self._administration.config.plans
        data = [_shown(plan, counted.get(plan.name, 0)) for plan in plans.values()]
        missing = {name: count for name, count in counted.items() if name not in plans}
        return reply(PlanList(data=data, missing=missing))


def routes(administration: Administration) -> list[Route]:
    return [Route("/admin/plans", PlanPage(administration).list_, methods=["GET"])]


def _shown(plan: Plan, accounts_: int) -> ShownPlan:
    allowance = credits.number(plan.allowance) if isinstance(plan.allowance, int) else plan.allowance
    own: dict[str, Any] = {"allowance": allowance, "prices": shown_prices(plan.prices), "accounts": accounts_}
    same = (name for name in ShownPlan.__struct_fields__ if name not in own)
    return ShownPlan(**{name: getattr(plan, name) for name in same}, **own)
