"""Plugins that work inside the server, opened one at a time, and the names that engines have from OpenAI.

If one plugin cannot start, the others do.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import msgspec
import structlog

from proxy.config.sections import Config, EngineSection, PluginSection
from proxy.engines.registry import EngineConfigError, Registry
from speech_engine import Context, Hosted, Names
from speech_engine.http import NO_NETWORK, HttpClient
from speech_engine.plugin import InstanceKind

_log = structlog.get_logger()


class PluginRequest(NamedTuple):
    """A plugin to open. `is_required` means that the configuration names it.

    If a plugin is only installed and lacks something, the log has no line about it.
    """

    kind: InstanceKind
    name: str
    section: PluginSection
    is_required: bool


async def open_plugin(
    stack: AsyncExitStack, registry: Registry, request: PluginRequest, http: HttpClient = NO_NETWORK
) -> Any | None:
    """Open a plugin with the settings of its section, until the stack ends. The plugin may use the client
    `http`.

    If it is not installed, lacks something, has wrong settings or fails, return None and log the reason.
    """
    kind, name, section = request.kind, request.name, request.section
    plugin = registry.plugins(kind).get(section.plugin or name)
    if plugin is None or isinstance(plugin.create, Hosted):
        others = ", ".join(sorted(registry.plugins(kind))) or "none"
        reason = f"a {kind} cannot be hosted" if plugin else f"no such {kind} is installed; known: {others}"
        _log.warning("plugin.start.refused", kind=kind, plugin=name, reason=reason)
        return None
    try:
        settings = registry.settings(kind, name, section)
        if lacking := plugin.missing(settings):
            if request.is_required:
                reason = "; ".join(f"{each.what} is not there: {each.do}" for each in lacking)
                _log.warning("plugin.start.refused", kind=kind, plugin=name, reason=reason)
            return None
        created = plugin.create(name, settings, Context(_log.bind(**{kind: name}), http=http))
        return await stack.enter_async_context(created)
    except EngineConfigError as error:
        _log.warning("plugin.start.refused", kind=kind, plugin=name, reason=str(error))
    except Exception as error:  # noqa: BLE001 - the seam around a plugin: logged, and the server goes on without
        _log.warning("plugin.start.failed", kind=kind, plugin=name, exc_info=error)
    return None


def names_of_engines(registry: Registry, config: Config) -> dict[str, Names]:
    found = {name: _names(registry, name, section, config.data) for name, section in config.engines.items()}
    return {name: known for name, known in found.items() if known}


def known_by(name: str, names: Mapping[str, Names]) -> list[str]:
    return [engine for engine, known in names.items() if known == "shared" or name in known]


def _names(registry: Registry, name: str, section: EngineSection, data: str) -> Names:
    try:
        settings = registry.first_settings(name, section, data, may_wait=True)
    except EngineConfigError:
        return {}  # `voxgate check` says why
    plugin = registry.plugins("engine")[section.plugin]
    try:
        known: Names = msgspec.convert(plugin.names(settings), Names)
    except Exception as error:  # noqa: BLE001 - the seam around a plugin: it is logged, and knows no names
        _log.warning("plugin.names.failed", plugin=plugin.name, exc_info=error)
        return {}
    return known
