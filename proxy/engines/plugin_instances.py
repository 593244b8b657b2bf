"""Plugins that work inside the server, opened one at a time: whatever cannot start is left out alone."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import structlog

from proxy.config.sections import PluginSection
from proxy.engines.registry import EngineConfigError, InstanceKind, Registry
from speech_engine import Context, Hosted

_log = structlog.get_logger()


class PluginRequest(NamedTuple):
    """`is_asked_for` in the configuration: one that is only installed may lack something without a word."""

    kind: InstanceKind
    name: str
    section: PluginSection
    is_asked_for: bool


async def open_plugin(stack: AsyncExitStack, registry: Registry, wanted: PluginRequest) -> Any | None:
    """An instance with its section's settings, until the stack ends; None, and a line in the log, where the
    plugin is not there, lacks something, is set wrongly or fails."""
    kind, name, section, is_asked_for = wanted
    plugin = registry.plugins(kind).get(name)
    if plugin is None or isinstance(plugin.create, Hosted):
        reason = "only engines can be hosted" if plugin else f"no such {kind} is installed"
        _log.warning("plugin.start.refused", kind=kind, plugin=name, reason=reason)
        return None
    try:
        settings = registry.settings(kind, name, section)
        if lacking := plugin.missing(settings):
            if is_asked_for:
                reason = "; ".join(f"{each.what} is not there: {each.do}" for each in lacking)
                _log.warning("plugin.start.refused", kind=kind, plugin=name, reason=reason)
            return None
        created = plugin.create(name, settings, Context(_log.bind(**{kind: name})))
        return await stack.enter_async_context(created)
    except EngineConfigError as error:
        _log.warning("plugin.start.refused", kind=kind, plugin=name, reason=str(error))
    except Exception as error:  # noqa: BLE001 - the seam around a plugin: logged, and the server goes on without
        _log.warning("plugin.start.failed", kind=kind, plugin=name, exc_info=error)
    return None
