"""What the configured engines know of the names that clients have from OpenAI: their plugins say it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import structlog

from proxy.config.sections import Config, EngineSection
from proxy.engines.registry import EngineConfigError, Registry
from speech_engine import Names

_log = structlog.get_logger()


def names_of_engines(registry: Registry, config: Config) -> dict[str, Names]:
    """Return what each configured engine knows. Those that know nothing, or cannot be used, are left out."""
    found = {name: _names(registry, name, section, config.data) for name, section in config.engines.items()}
    return {name: known for name, known in found.items() if known}


def who_knows(name: str, names: Mapping[str, Names]) -> list[str]:
    """Return the engines that know one of the names."""
    return [engine for engine, known in names.items() if known == "shared" or name in known]


def _names(registry: Registry, name: str, section: EngineSection, data: str) -> Names:
    try:
        settings = registry.first_settings(name, section, data)
    except EngineConfigError:
        return {}  # `voxgate check` says why
    plugin = registry.plugins("engine")[section.plugin]
    try:
        known: Names = msgspec.convert(plugin.names(settings), Names)
    except Exception as error:  # noqa: BLE001 - the seam around a plugin: it is logged, and knows no names
        _log.warning("plugin.names.failed", plugin=plugin.name, exc_info=error)
        return {}
    return known
