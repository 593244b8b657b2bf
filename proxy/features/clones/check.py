"""`voxgate check`: fees for clones without a payer or a budget."""

from __future__ import annotations

from collections.abc import Iterator

from policies.plans import UNLIMITED, Plan
from proxy.config.config_toml import Config
from proxy.config.finding import Finding, ProbeResults, note
from proxy.config.model_names import CLONE
from proxy.config.sections import EngineSection
from proxy.engines.registry import Registry


def clones(config: Config, registry: Registry, _results: ProbeResults) -> Iterator[Finding]:
    """Yield a finding for each engine whose clones cost you money, on plans that neither pay nor bound it."""
    known = registry.plugins("engine")
    for name, section in config.engines.items():
        fee, is_cloning = section.costs.get(CLONE), section.plugin in known and known[section.plugin].clones
        if _has_budget(section) or not (fee.usd if fee else is_cloning):
            continue
        if plans := [plan.name for plan in config.plans.values() if _is_open(plan, name, fee is not None)]:
            costs = f"costs you ${fee.usd:g}" if fee else "may cost you a fee"
            found = f"a clone {costs}, and {', '.join(plans)} has no price or no limit for it, and no budget"
            do = 'write clone = { credits = 300, per = "job" } in prices and clones = 3, or a budget_usd_day'
            yield note("clone", found, do, name=name)


def _is_open(plan: Plan, engine: str, is_charged: bool) -> bool:
    """Tell whether a plan gives clones away, or sells them without a limit."""
    if plan == UNLIMITED or plan.clones == 0 or plan.local_only or _has_budget(plan):
        return False
    if plan.engines is not None and engine not in plan.engines:
        return False
    is_free = not plan.prices.clone.micro
    return (is_free and is_charged) or (plan.price != "" and (is_free or plan.clones is None))


def _has_budget(given: EngineSection | Plan) -> bool:
    return given.budget_usd_day is not None or given.budget_usd_month is not None
