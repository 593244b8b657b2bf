"""The entry of the feature models in the list of feature_list.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from proxy.config.finding import Finding, ProbeResults, note
from proxy.config.sections import Config
from proxy.engines.registry import Registry
from proxy.feature import AppContext, Feature, FeatureInstance


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    if context.engines is None:  # nothing is spoken here, so no other model is needed
        yield FeatureInstance(context)
        return
    from proxy.features.models.listing import open_galleries

    yield FeatureInstance(context._replace(addable=open_galleries(context.registry).command_for))


def _older_voices(config: Config, _registry: Registry, _results: ProbeResults) -> Iterator[Finding]:
    """Yield a note for each model of natural.toml that a new server would not get."""
    from proxy.features.models.natural_voices import newer_than

    for name, section in config.engines.items():
        if f"engines.{name}" in config.natural and (newer := newer_than(section.model)):
            found = f"it speaks with {section.model}; {newer} has more voices"
            yield note("engine", found, "to change to it, run voxgate voices natural", name=name)


FEATURE = Feature("models", _open, checks=(_older_voices,))
