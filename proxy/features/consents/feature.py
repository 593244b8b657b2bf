"""The entry of the feature consents in the list of feature_list.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from proxy.config.config_toml import Config
from proxy.config.finding import Finding, ProbeResults, wrong
from proxy.engines.environments.environments import EnvironmentRefused, interpreter
from proxy.engines.registry import Registry
from proxy.feature import Additions, AppContext, Feature, FeatureInstance
from proxy.features.consents.records import TABLE
from speech_engine import Hosted


def comparer(config: Config, registry: Registry, _results: ProbeResults) -> Iterator[Finding]:
    """Check that the comparer is installed and its environment built."""
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
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.features.consents.comparison import open_comparison
    from proxy.features.consents.consent_store import ConsentStore
    from proxy.features.consents.endpoints import Consents
    from proxy.features.consents.grants import Grants

    async with open_comparison(context.registry, context.config_at_start) as comparison:
        consents = ConsentStore(
            context.store, context.vault, context.intake, comparison, context.erasing.erase
        )
        yield FeatureInstance(
            context.sharing(Grants(context.store, consents.compare)),
            at=lambda revision: Additions(Consents(revision.admin_tools, consents).endpoints),
        )


FEATURE = Feature(
    "consents",
    _open,
    tables=(TABLE,),
    paths=("/v1/audio/voice_consents", "/admin/consents"),
    checks=(comparer,),
    needs_plugins=needs_plugins,
)
