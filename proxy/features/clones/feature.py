"""The feature clones, as the list of all has it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from policies.plans import UNLIMITED, Plan
from proxy.config.config_toml import Config
from proxy.config.finding import Finding, ProbeResults, note
from proxy.config.model_names import CLONE
from proxy.config.sections import EngineSection
from proxy.engines.registry import Registry
from proxy.feature import Feature, House, HouseRevision, Opened, Served
from proxy.features.clones.records import TABLE


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


@asynccontextmanager
async def _open(house: House) -> AsyncIterator[Opened]:
    from proxy.features.clones.bills import CloneBills
    from proxy.features.clones.endpoints import Clones
    from proxy.features.clones.maker import CloneMaker
    from proxy.features.clones.orders import CloneOrders
    from proxy.features.clones.recordings import CloneRecordings

    maker: CloneMaker | None = None
    if house.engines is not None:
        recordings = CloneRecordings(house.store, house.own_voices, house.samples, house.grants)
        bills = CloneBills(house.ledger, house.metrics.registry)
        maker = CloneMaker(house.store, house.engines, recordings, bills, house.notices)
        house.engines.on_loss(maker.look_soon)
    orders = CloneOrders(house.store, house.grants, maker)

    def at(revision: HouseRevision) -> Served:
        if maker is not None and revision.budgets is not None:
            maker.revise(revision.config, revision.budgets, revision.library.forget)
        return Served(Clones(revision.admin_tools, revision.library, orders).endpoints)

    if maker is None:
        yield Opened(at=at, clones=orders)
    else:
        yield Opened(at=at, clones=orders, is_gone=maker.wait_until_gone, wishes=(maker,))


FEATURE = Feature("clones", _open, tables=(TABLE,), checks=(clones,))
