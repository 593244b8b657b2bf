"""The entry of the feature clones in the list of feature_list.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from policies.plans import UNLIMITED, Plan
from proxy.config.config_toml import Config
from proxy.config.finding import Finding, ProbeResults, note
from proxy.config.model_names import CLONE
from proxy.config.sections import EngineSection
from proxy.engines.registry import Registry
from proxy.feature import Additions, AppContext, Feature, FeatureInstance, RevisionContext
from proxy.features.clones.records import TABLE
from proxy.features.consents.grants import Grants
from proxy.features.own_voices.saved_voices import SavedVoices
from proxy.features.webhooks.delivery_tasks import DeliveryTasks


def find_unpaid_clones(config: Config, registry: Registry, _results: ProbeResults) -> Iterator[Finding]:
    """Yield a finding for each engine whose clones cost the operator money, if there are plans in which a
    clone has no price or no limit, and no budget."""
    known = registry.plugins("engine")
    for name, section in config.engines.items():
        fee, is_cloning = section.costs.get(CLONE), section.plugin in known and known[section.plugin].clones
        if _has_budget(section) or not (fee.usd if fee else is_cloning):
            continue
        if plans := [
            plan.name for plan in config.plans.values() if _lacks_price_or_limit(plan, name, fee is not None)
        ]:
            costs = f"costs you ${fee.usd:g}" if fee else "may cost you a fee"
            found = f"a clone {costs}, and {', '.join(plans)} has no price or no limit for it, and no budget"
            do = 'write clone = { credits = 300, per = "job" } in prices and clones = 3, or a budget_usd_day'
            yield note("clone", found, do, name=name)


def _lacks_price_or_limit(plan: Plan, engine: str, has_fee: bool) -> bool:
    """Tell whether a plan offers clones without a price, or without a limit. With `has_fee`, the
    configuration names the provider's fee for a clone."""
    if plan == UNLIMITED or plan.clones == 0 or plan.local_only or _has_budget(plan):
        return False
    if plan.engines is not None and engine not in plan.engines:
        return False
    is_free = not plan.prices.clone.micro
    return (is_free and has_fee) or (plan.price != "" and (is_free or plan.clones is None))


def _has_budget(section: EngineSection | Plan) -> bool:
    return section.budget_usd_day is not None or section.budget_usd_month is not None


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.features.clones.bills import CloneBills
    from proxy.features.clones.clone_tasks import CloneTasks
    from proxy.features.clones.endpoints import Clones
    from proxy.features.clones.orders import CloneOrders
    from proxy.features.clones.recordings import CloneRecordings

    clone_tasks: CloneTasks | None = None
    grants = context.find(Grants)
    if context.engines is not None:
        recordings = CloneRecordings(context.store, context.own_voices, context.samples, grants)
        bills = CloneBills(context.ledger, context.metrics.registry)
        clone_tasks = CloneTasks(
            context.store, context.engines, recordings, bills, context.find(DeliveryTasks)
        )
        context.engines.on_loss(clone_tasks.look_now)
    orders = CloneOrders(context.store, grants, clone_tasks)
    context.find(SavedVoices).clones = orders

    def additions_for(revision: RevisionContext) -> Additions:
        if clone_tasks is not None and revision.budgets is not None:
            clone_tasks.revise(revision.config, revision.budgets, revision.library.forget)
        return Additions(Clones(revision.admin_tools, revision.library, orders).endpoints)

    if clone_tasks is None:
        yield FeatureInstance(context, additions_for)
    else:
        yield FeatureInstance(
            context, additions_for, is_gone_remotely=clone_tasks.wait_until_gone, task_kinds=(clone_tasks,)
        )


FEATURE = Feature(
    "clones",
    _open,
    tables=(TABLE,),
    paths=("/admin/clones", "/admin/voices/{id}/clones"),
    checks=(find_unpaid_clones,),
)
