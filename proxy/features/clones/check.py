"""`voxgate check`: fees for clones without a payer or a budget."""

from __future__ import annotations

from collections.abc import Iterator

from policies.plans import UNLIMITED, Plan
from proxy.config.config_toml import Config
from proxy.config.finding import Finding, note
from proxy.config.model_names import CLONE
from proxy.config.sections import EngineSection


def clones(config: Config, *_: object) -> Iterator[Finding]:
    """Yield a finding for each engine whose clones cost you money, on plans that neither pay nor bound it."""
    for name, section in config.engines.items():
        fee = section.costs.get(CLONE)
        if fee is None or not fee.usd or _has_budget(section):
            continue
        plans = [plan.name for plan in config.plans.values() if _clones_for_nothing(plan, name)]
        if plans:
            found = f"a clone costs you ${fee.usd:g}, and {', '.join(plans)} has no price or budget for it"
            do = 'write clone = { credits = 300, per = "job" } in their prices, or a budget_usd_day'
            yield note("clone", found, do, name=name)


def _clones_for_nothing(plan: Plan, engine: str) -> bool:
    if plan == UNLIMITED or plan.clones == 0 or plan.local_only:
        return False
    has_engine = plan.engines is None or engine in plan.engines
    has_budget = plan.budget_usd_day is not None or plan.budget_usd_month is not None
    return has_engine and not has_budget and not plan.prices.clone.micro


def _has_budget(section: EngineSection) -> bool:
    return section.budget_usd_day is not None or section.budget_usd_month is not None
