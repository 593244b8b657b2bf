"""Plugins found and judged one at a time; the only file that calls pluggy's hooks.

In pluggy one failing entry point stops the loading of the rest, and one raising hook loses every answer.
So each entry point is loaded alone, and each plugin is called alone. A fault is stored beside the plugin's
name for `voxgate check`, `voxgate engines` and /readyz.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, NamedTuple, get_args

import msgspec
import pluggy
import structlog

from proxy.config import fields
from proxy.config.engines import DEFAULT_CREDENTIAL, settings_by_key
from proxy.config.reader import did_you_mean
from proxy.config.sections import EngineSection, PluginSection
from proxy.engines import engine_models
from speech_engine import Context, Engine, Hosted, Plugin
from speech_engine.model_declarations import ModelFormat, UnusableModel
from speech_engine.plugin import Create, InstanceKind, Kind, Missing, S, worker_plugin

GROUP = "voxgate"

_PluginKey = tuple[str, str]  # its kind and its name

_log = structlog.get_logger()


class Nonsense(Exception):
    """A hook returned something that it must not return."""


class Hooks:
    @pluggy.HookspecMarker(GROUP)
    def voxgate_register(self) -> tuple[Plugin[Any], ...]:
        """Give the plugins of a module. It is called once, at start."""
        raise NotImplementedError


class Manager(pluggy.PluginManager):
    """A manager that finds hooks by name, so that plugins and their environments do not need pluggy."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:
        if not name.startswith("voxgate_") or not callable(getattr(plugin, name, None)):
            return None
        return pluggy.HookimplOpts(
            wrapper=False, hookwrapper=False, optionalhook=False, tryfirst=False, trylast=False, specname=None
        )


def judge(answers: list[Any], found: Mapping[_PluginKey, Plugin[Any]]) -> tuple[Plugin[Any], ...]:
    """Return the plugins of a module's answer. `found` are those of the modules before. Raise Nonsense."""
    if not answers:
        raise Nonsense("it has no voxgate_register(), or one that gives None")
    plugins = answers[0]
    if not isinstance(plugins, tuple) or not all(isinstance(plugin, Plugin) for plugin in plugins):
        raise Nonsense(f"voxgate_register() must give a tuple of Plugin, not {type(plugins).__name__}")
    known = set(found)
    for plugin in plugins:
        _judge_plugin(plugin)
        if (plugin.kind, plugin.name) in known:
            raise Nonsense(f"another plugin already gives the {plugin.kind} {plugin.name!r}")
        known.add((plugin.kind, plugin.name))
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
        if plugin.kind != "engine":
            raise Nonsense(f"{plugin.name!r} takes no imported model: only an engine has a model_format")
        field = engine_models.MODEL_PATHS if plugin.model_format.listed_in else engine_models.MODEL_PATH
        if field not in plugin.settings.__struct_fields__:
            raise Nonsense(f"the settings of {plugin.name!r} need a field {field} for what is imported")
    if not isinstance(plugin.gallery, str):
        raise Nonsense(f"the gallery of {plugin.name!r} must be a path, as a text")
    if not callable(plugin.create) and (plugin.kind == "mark" or not isinstance(plugin.create, Hosted)):
        raise Nonsense(
            f"the create of {plugin.name!r} must be a function or Hosted; since 0.2.0, no mark is Hosted"
        )
    if not callable(plugin.names):
        raise Nonsense(f"the names of {plugin.name!r} must be a function of its settings")


class PluginFault(NamedTuple):
    """A plugin that could not be used: the stage (import, register, answer), and the reason."""

    name: str
    stage: str
    reason: str


class HostedEngineSpec(NamedTuple):
    """An engine for the supervisor to run: its worker, its section, and the models imported into `data`."""

    name: str
    hosted: Hosted
    section: EngineSection
    models: tuple[engine_models.StoredModel, ...] = ()
    model_format: ModelFormat | None = None
    data: str = ""

    @property
    def licence(self) -> str:
        return engine_models.strictest_licence(self.models)

    @property
    def module(self) -> str:
        return self.hosted.module

    @property
    def memory_gb(self) -> float | None:
        """The memory of a process on its device: from the section, or else the estimate for its model."""
        estimate = max((model.manifest.memory_gb for model in self.models), default=None)
        return self.section.memory_gb or estimate or None

    @property
    def processes(self) -> int:
        if self.section.processes is not None:
            return self.section.processes
        return min(64, max(2, (os.cpu_count() or 1) - 1)) if self.hosted.keeps_one_core else 1


class InProcessSpec(NamedTuple, Generic[S]):
    """An engine for the server to create in its own process, once for each of its `settings`. Where a cloud
    engine has several keys, its settings differ in the key, and `credentials` has the label of each key's
    account. `is_cloud` is true for engines of the cloud."""

    name: str
    create: Create[S]
    settings: tuple[S, ...]
    is_cloud: bool
    credentials: tuple[str, ...] = (DEFAULT_CREDENTIAL,)
    models: tuple[engine_models.StoredModel, ...] = ()

    @property
    def licence(self) -> str:
        return engine_models.strictest_licence(self.models)

    def creators(self, context: Context) -> list[Callable[[], AbstractAsyncContextManager[Engine]]]:
        """Return one function for each key. It creates the engine that speaks with this key."""
        return [partial(self.create, self.name, settings, context) for settings in self.settings]

    def __repr__(self) -> str:
        return f"<InProcessSpec {self.name}>"  # settings may hold an engine's key


class RemoteSpec(NamedTuple):
    """An engine on other machines: those of a runner, for jobs only, or the hosts of a cluster. Its settings
    and models are there."""

    name: str
    section: EngineSection

    @property
    def place(self) -> str:
        return f"the cluster {self.section.cluster}" if self.section.cluster else self.section.runner


class Registry:
    """The plugins that `load` found, the faults of the others, and in `entries` the entry point of each."""

    def __init__(
        self,
        plugins: Mapping[_PluginKey, Plugin[Any]],
        faults: Iterable[PluginFault],
        entries: Mapping[_PluginKey, str] | None = None,
    ) -> None:
        self._plugins = plugins
        self._entries = entries or {}
        self.faults = tuple(faults)

    def plugins(self, kind: str) -> dict[str, Plugin[Any]]:
        return {name: plugin for (found, name), plugin in self._plugins.items() if found == kind}

    def pullable(self) -> dict[str, str]:
        """Return the plugins that models are pulled for, each with its setting for lists of them, or "".
        Plugins whose environment has their model are among them."""
        return {
            name: format_.listed_in if (format_ := plugin.model_format) else ""
            for name, plugin in self.plugins("engine").items()
            if isinstance(plugin.create, Hosted)
            and (plugin.gallery if plugin.model_format else plugin.create.has_environment)
        }

    def plugins_of(self, entry: str) -> tuple[Plugin[Any], ...]:
        return tuple(plugin for key, plugin in self._plugins.items() if self._entries.get(key) == entry)

    def engine(
        self, name: str, section: EngineSection, data: str, *, may_wait: bool = False
    ) -> HostedEngineSpec | InProcessSpec[msgspec.Struct] | RemoteSpec:
        """Return the specification of a configured engine. `data` is the folder with the imported models.

        With `may_wait`, a model that its host needs may be absent: it may come while the server runs. Raise
        EngineConfigError, which says how to mend the section.
        """
        plugin = self._plugin_of(name, section)
        if section.fault:
            raise EngineConfigError(section.fault)
        if section.runner or section.cluster:
            return self._remote(name, section, plugin)
        may_wait = may_wait and isinstance(plugin.create, Hosted) and section.hosted
        section, models = _with_models(name, section, plugin, data, may_wait=may_wait)
        if not isinstance(plugin.create, Hosted):
            keys = settings_by_key(plugin.settings, section)
            each = tuple(
                _settings(f"engines.{name}{key.section_suffix}", plugin.settings, key.raw) for key in keys
            )
            labels = tuple(key.credential for key in keys)
            return InProcessSpec(name, plugin.create, each, is_cloud=True, credentials=labels, models=models)
        if section.credentials:
            raise EngineConfigError(
                f"engines.{name}.credentials: {section.plugin} has no provider; remove it"
            )
        settings = _settings(f"engines.{name}", plugin.settings, section.settings)
        device = section.device.partition(":")[0]
        if device != "auto" and device not in plugin.create.devices:
            able = ", ".join(plugin.create.devices)
            raise EngineConfigError(f"engines.{name}.device: {section.plugin} can use {able}, not {device}")
        if section.hosted:
            return HostedEngineSpec(name, plugin.create, section, models, plugin.model_format, data)
        if not plugin.create.in_process:
            raise EngineConfigError(
                f"engines.{name}.hosted: {section.plugin} runs only in a host; remove the line"
            )
        create = _create_of(name, plugin.create.module)
        return InProcessSpec(name, create, (settings,), is_cloud=False, models=models)

    def _remote(self, name: str, section: EngineSection, plugin: Plugin[Any]) -> RemoteSpec:
        if not isinstance(plugin.create, Hosted):
            raise EngineConfigError(
                f"engines.{name}.{'cluster' if section.cluster else 'runner'}: {section.plugin} has a "
                "provider of its own; remove the line"
            )
        spec = RemoteSpec(name, section)
        for key in (*(("model",) if section.model else ()), *section.settings, *section.credentials):
            raise EngineConfigError(f"engines.{name}.{key}: it works at {spec.place}; set it there")
        return spec

    def first_settings(
        self, name: str, section: EngineSection, data: str, *, may_wait: bool = False
    ) -> msgspec.Struct:
        """Return the settings with the first key. The settings of an engine on other machines are there: here
        those of an empty section stand for them. With `may_wait`, its model may be absent. Raise
        EngineConfigError."""
        plugin = self._plugin_of(name, section)
        if section.runner or section.cluster:
            return _settings(f"engines.{name}", plugin.settings, {})
        section, _ = _with_models(name, section, plugin, data, may_wait=may_wait)
        first = settings_by_key(plugin.settings, section)[0]
        return _settings(f"engines.{name}{first.section_suffix}", plugin.settings, first.raw)

    def missing(self, name: str, section: EngineSection, data: str) -> tuple[Missing, ...]:
        """Return the things that a configured engine lacks on this machine. Raise EngineConfigError."""
        if section.runner or section.cluster:
            return ()
        plugin, settings = self._plugin_of(name, section), self.first_settings(name, section, data)
        try:
            return msgspec.convert(plugin.missing(settings), tuple[Missing, ...])
        except Exception as error:  # noqa: BLE001 - the seam around a plugin: reported as its fault
            reason = type(error).__name__
        raise EngineConfigError(f"engines.{name}: its plugin cannot say what is missing: {reason}")

    def settings(self, kind: InstanceKind, name: str, section: PluginSection) -> Any:
        """Return the settings of a plugin that is opened once. Raise EngineConfigError."""
        key = f"{kind}s.{name}"
        called = section.plugin or name
        plugin = self._plugins.get((kind, called))
        if plugin is None:
            known = sorted(self.plugins(kind))
            hint = did_you_mean(called, known)
            raise EngineConfigError(f"{key}: no {kind} called {called} is installed; {hint}")
        if section.fault:
            raise EngineConfigError(section.fault)
        return _settings(key, plugin.settings, section.settings)

    def _plugin_of(self, name: str, section: EngineSection) -> Plugin[Any]:
        plugin = self._plugins.get(("engine", section.plugin))
        if plugin is not None:
            return plugin
        for fault in self.faults:
            if fault.name == section.plugin:
                raise EngineConfigError(
                    f"engines.{name}: the plugin {fault.name} failed at {fault.stage}: {fault.reason}"
                )
        why = did_you_mean(section.plugin, sorted(self.plugins("engine")))
        raise EngineConfigError(
            f"engines.{name}.plugin: no plugin called {section.plugin} is installed; {why}"
        )


class EngineConfigError(Exception):
    """A section of [engines], [front_ends] or [detectors] that cannot be used."""


def load(more: Iterable[EntryPoint] = ()) -> Registry:
    """Load every plugin of the entry-point group `voxgate`. A broken plugin does not raise.

    Plugins of `more` replace installed plugins of the same name.
    """
    manager = Manager(GROUP)
    manager.add_hookspecs(Hooks)
    faults: list[PluginFault] = []
    found: dict[_PluginKey, Plugin[Any]] = {}
    entries: dict[_PluginKey, str] = {}
    added = {entry.name: entry for entry in more}
    installed = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)
    for entry in [*(entry for entry in installed if entry.name not in added), *added.values()]:
        try:
            module: object = entry.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the seam around a plugin: kept as its fault
            _fault(faults, entry.name, "import", error)
            continue
        before = set(found)
        _register(manager, entry.name, module, found, faults)
        entries.update(dict.fromkeys(found.keys() - before, entry.name))
    return Registry(found, faults, entries)


def _register(
    manager: Manager,
    name: str,
    module: object,
    found: dict[_PluginKey, Plugin[Any]],
    faults: list[PluginFault],
) -> None:
    stage = "register"
    others = [plugin for plugin in manager.get_plugins() if plugin is not module]
    try:
        manager.register(module, name=name)
        manager.check_pending()
        answers = manager.subset_hook_caller("voxgate_register", others)()
        stage = "answer"
        plugins = judge(answers, found)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the seam around a plugin: kept as its fault
        if manager.has_plugin(name):
            manager.unregister(name=name)
        _fault(faults, name, stage, error)
        return
    found.update({(plugin.kind, plugin.name): plugin for plugin in plugins})


def _with_models(
    name: str, section: EngineSection, plugin: Plugin[Any], data: str, *, may_wait: bool = False
) -> tuple[EngineSection, tuple[engine_models.StoredModel, ...]]:
    try:
        return engine_models.with_models(section, plugin.model_format, data)
    except UnusableModel as fault:
        if may_wait and isinstance(fault, engine_models.ModelAbsent):
            return section, ()
        raise EngineConfigError(f"engines.{name}.model: {fault}") from None


def _create_of(name: str, module: str) -> Create[Any]:
    try:
        return worker_plugin(module)[1]
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the seam around a plugin: reported as its fault
        reason = f"{type(error).__name__}: {error}"
    raise EngineConfigError(f"engines.{name}: {module} cannot be used: {reason}")


def _fault(faults: list[PluginFault], name: str, stage: str, error: BaseException) -> None:
    fault = PluginFault(name, stage, f"{type(error).__name__}: {error}".split("\n", 1)[0])
    faults.append(fault)
    _log.warning("plugin.load.failed", plugin=name, stage=stage, reason=fault.reason, exc_info=error)


def _settings(section: str, type_: type[msgspec.Struct], raw: Mapping[str, Any]) -> msgspec.Struct:
    known = [field.key for field in fields.fields_of(type_)]
    unknown = fields.find_unknown_keys(type_, raw)
    faults = [f"{section}.{key}: no such key; {did_you_mean(key, known)}" for key in unknown]
    try:
        settings = fields.read_struct(type_, raw)
    except fields.FieldFaults as error:
        for fault in error.faults:
            problem = "it is missing" if fault.kind == "missing" else f"must be {fault.expected}"
            faults.append(f"{section}.{fault.field}: {problem}")
    if faults:
        raise EngineConfigError("; ".join(faults))
    return settings
