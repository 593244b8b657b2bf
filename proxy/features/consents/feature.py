"""The feature consents, as the list of all has it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from proxy.config.config_toml import Config
from proxy.config.finding import Finding, ProbeResults, wrong
from proxy.engines.environments import EnvironmentRefused, interpreter
from proxy.engines.registry import Registry
from proxy.feature import Feature, House, Opened, Served
from proxy.features.consents.records import TABLE
from speech_engine import Hosted


def comparer(config: Config, registry: Registry, _results: ProbeResults) -> Iterator[Finding]:
    """Judge whether it is installed, and its environment built."""
    name = config.consent.comparer
    if not name:
        return
    plugin = registry.plugins("comparer").get(name)
    if plugin is None:
        yield wrong("comparer", f"consent.comparer: {name} is not installed", name=name)
    elif isinstance(plugin.create, Hosted):
        try:
            interpreter(name, plugin.create)
        except EnvironmentRefused as refused:
            yield wrong("comparer", str(refused), name=name)


def needs_plugins(config: Config) -> bool:
    return bool(config.consent.comparer)


@asynccontextmanager
async def _open(house: House) -> AsyncIterator[Opened]:
    from proxy.features.consents.comparison import open_comparison
    from proxy.features.consents.endpoints import Consents
    from proxy.features.consents.keeper import ConsentGrants, ConsentKeeper

    async with open_comparison(house.registry, house.config_at_start) as comparison:
        keeper = ConsentKeeper(house.store, house.vault, house.intake, comparison, house.erasing.erase)
        yield Opened(
            at=lambda revision: Served(Consents(revision.admin_tools, keeper).endpoints),
            grants=ConsentGrants(house.store, keeper.compare),
        )


FEATURE = Feature("consents", _open, tables=(TABLE,), checks=(comparer,), needs_plugins=needs_plugins)
