"""`voxgate check`: the comparer that [consent] names."""

from __future__ import annotations

from collections.abc import Iterator

from proxy.config.config_toml import Config
from proxy.config.finding import Finding, ProbeResults, wrong
from proxy.engines.environments import EnvironmentRefused, interpreter
from proxy.engines.registry import Registry
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
