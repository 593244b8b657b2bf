"""The entry of the feature cache in the list of feature_list.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.config.config_toml import Config
from proxy.config.finding import Finding, ProbeResults, note, ok
from proxy.engines.registry import Registry
from proxy.feature import Additions, AppContext, Feature, FeatureInstance, RevisionContext
from proxy.features.cache.records import TABLE
from proxy.features.cache.section import SECTION


def check_cache(config: Config, _registry: Registry, _results: ProbeResults) -> list[Finding]:
    section = SECTION.of(config)
    if section.megabytes == 0:
        fact = "megabytes = 0: nothing is kept"
        plans = ", ".join(name for name, plan in config.plans.items() if plan.cache)
        if section.on:
            return [note("cache", f"{fact}, though on = true asks for it", name="none")]
        if plans:
            return [note("cache", f"{fact}, though plans ask for it: {plans}", name="none")]
        return [ok("cache", fact, name="none")]
    name = "on" if section.on else "on request"
    return [ok("cache", f"up to {section.megabytes} MB, for {section.days:g} day(s)", name=name)]


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.features.cache.cache import open_cache

    async with open_cache(
        context.config_at_start, context.store, context.front_end_revision, context.metrics
    ) as cache:

        def additions_for(revision: RevisionContext) -> Additions:
            cache.revise(revision.config)
            return Additions()

        context_with_cache = context._replace(speech_cache=cache, purges=cache)
        yield FeatureInstance(context_with_cache, additions_for, memories=(cache,), files=(cache,))


FEATURE = Feature("cache", _open, tables=(TABLE,), text_checks=(check_cache,))
