"""The hook of a plugin's module, and the judgement of its answer: types are not checked by anybody else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import msgspec
import pluggy

from proxy.engines.stored_models import MODEL_PATH, MODEL_PATHS
from speech_engine import Hosted, Plugin
from speech_engine.plugin import Kind

GROUP = "voxgate"


class Nonsense(Exception):
    """An answer of a hook that breaks the hook's promise."""


class Hooks:
    @pluggy.HookspecMarker(GROUP)
    def voxgate_register(self) -> tuple[Plugin[Any], ...]:
        """Give the plugins of a module. It is called once, at start."""
        raise NotImplementedError


class Manager(pluggy.PluginManager):
    """A manager that knows a hook by its name: so a plugin needs no marker, and its environment no pluggy."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:
        if not name.startswith("voxgate_") or not callable(getattr(plugin, name, None)):
            return None
        return pluggy.HookimplOpts(
            wrapper=False, hookwrapper=False, optionalhook=False, tryfirst=False, trylast=False, specname=None
        )


def judge(answers: list[Any], found: Mapping[tuple[str, str], Plugin[Any]]) -> tuple[Plugin[Any], ...]:
    """Return the plugins of an answer. `found` are those that others gave. Raise Nonsense."""
    if not answers:
        raise Nonsense("it has no voxgate_register(), or one that gives None")
    plugins = answers[0]
    if not isinstance(plugins, tuple) or not all(isinstance(plugin, Plugin) for plugin in plugins):
        raise Nonsense(f"voxgate_register() must give a tuple of Plugin, not {type(plugins).__name__}")
    taken = set(found)
    for plugin in plugins:
        _judge_plugin(plugin)
        if (plugin.kind, plugin.name) in taken:
            raise Nonsense(f"another plugin already gives the {plugin.kind} {plugin.name!r}")
        taken.add((plugin.kind, plugin.name))
    return plugins


def _judge_plugin(plugin: Any) -> None:
    """Raise Nonsense if a field has a wrong type: a struct does not check its annotations."""
    if plugin.kind not in get_args(Kind):
        raise Nonsense(f"there is no kind of plugin called {plugin.kind!r}")
    if not isinstance(plugin.name, str) or not plugin.name:
        raise Nonsense(f"the name of a plugin must be a text, not {plugin.name!r}")
    if not (isinstance(plugin.settings, type) and issubclass(plugin.settings, msgspec.Struct)):
        raise Nonsense(f"the settings of {plugin.name!r} must be a msgspec struct")
    if plugin.model_format is not None:
        field = MODEL_PATHS if plugin.model_format.listed_in else MODEL_PATH
        if field not in plugin.settings.__struct_fields__:
            raise Nonsense(f"the settings of {plugin.name!r} need a field {field} for what is imported")
    if not isinstance(plugin.gallery, str):
        raise Nonsense(f"the gallery of {plugin.name!r} must be a path, as a text")
    if not isinstance(plugin.create, Hosted) and not callable(plugin.create):
        raise Nonsense(f"the create of {plugin.name!r} must be a function or Hosted")
    if not callable(plugin.names):
        raise Nonsense(f"the names of {plugin.name!r} must be a function of its settings")
