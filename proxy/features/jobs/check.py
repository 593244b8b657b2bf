"""`voxgate check`: trainings that would find no memory, or could not be fetched."""

from __future__ import annotations

from collections.abc import Iterator

from proxy.config.config_toml import Config
from proxy.config.finding import Finding, note
from proxy.config.sections import EngineSection
from proxy.engines.registry import Registry
from proxy.features.jobs.section import JOBS
from speech_engine import Hosted


def trainings(config: Config, registry: Registry, *_: object) -> Iterator[Finding]:
    """Yield a finding for each engine whose trainings lack something that only the operator knows."""
    is_booked = any(section.memory_gb is not None for section in config.engines.values())
    for name, section in config.engines.items():
        if not _trains(section, registry):
            continue
        if section.runner and not config.server.public_url:
            found = f"it speaks at {section.runner}, but trains nothing there"
            do = "set [server] public_url: machines fetch and bring all there"
            yield note("training", found, do, name=name)
        elif not section.runner and is_booked and JOBS.of(config).training_gb is None:
            found = "engines book memory, and a training begins without asking whether there is any"
            yield note("training", found, "set [jobs] training_gb, such as 8.0", name=name)


def _trains(section: EngineSection, registry: Registry) -> bool:
    plugin = registry.plugins("engine").get(section.plugin)
    return plugin is not None and isinstance(plugin.create, Hosted) and bool(plugin.create.trainer)
