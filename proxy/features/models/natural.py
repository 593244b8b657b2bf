"""natural.toml in the data folder: engines with natural voices. It overrides the shipped defaults, and
config.toml overrides it.

A model's manifest cannot hold aliases, their order, or licences that an operator has accepted. Only commands
write natural.toml. But it may come from a stranger's backup, so a section that no command would write is left
out, and a server starts without it.
"""

from __future__ import annotations

import copy
import os
import re
import stat
from collections.abc import Callable, Container, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from proxy.config.defaults import NoLayer, parse_toml, shipped_defaults
from proxy.config.model_names import with_dated
from proxy.config.reader import ConfigError, Reader
from proxy.config.sections import EngineSection
from speech_engine.model_manifest import ModelName

FILE = "natural.toml"
_MOST_BYTES = 1_000_000

Plugins = Callable[[], Mapping[str, str]]
"""Returns the plugins whose engines may be in the file, each with its setting for a list of models, or ""."""
LeaveOut = Callable[[str, str], None]
"""Called with the name of a section that is left out, and the reason. It may raise."""

_Alias = Annotated[str, msgspec.Meta(pattern=r"^(?!env:|file:)[^/]+\Z")]
_Model = Annotated[str, msgspec.Meta(pattern=r"^(?!env:|file:)[^/]+/.+\Z")]
_Candidates = dict[_Alias, Annotated[list[_Model], msgspec.Meta(min_length=1)]]


class EngineKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The keys of an engine's section. Some plugins also have a list of models."""

    plugin: str = ""
    model: ModelName = ""
    accept_licence: Annotated[str, msgspec.Meta(pattern=r"^(?!env:|file:)")] = ""
    stands_in: bool = False


class Layer(NoLayer, msgspec.Struct, frozen=True):
    """The content of natural.toml: sections of engines, aliases with their candidates, and the converter of
    [server], or "".

    Built-in candidates of an alias come after the candidates here.
    """

    engines: dict[str, dict[str, Any]] = {}
    models: dict[str, list[str]] = {}
    converter: str = ""

    @property
    def sections(self) -> tuple[str, ...]:
        engines = (f"engines.{name}" for name in self.engines)
        models = (f"models.{name}" for name in self.models)
        return (*engines, *models, *(("server.converter",) if self.converter else ()))

    def candidates_by_alias(self, engines: Mapping[str, EngineSection], /) -> dict[str, list[str]]:
        """Return the layer's candidates, then the built-in ones.

        `engines` are those of the configuration. One of them has the layer's candidates only if it has the
        plugin of the layer's (or shipped) engine of that name, and no runner, which would cost money.
        """
        our_engines = {**shipped_defaults()["engines"], **self.engines}
        usable_engines = [
            name
            for name, each in engines.items()
            if name in our_engines
            and each.plugin == our_engines[name].get("plugin", name)
            and not each.runner
        ]
        built_in = shipped_defaults()["models"]
        from_layer = _keep_candidates_of(usable_engines, self.models, lambda _section, _why: None)
        from_layer = with_dated(from_layer, built_in)
        return {
            alias: list(dict.fromkeys((*from_layer.get(alias, ()), *built_in.get(alias, ()))))
            for alias in (*built_in, *(alias for alias in from_layer if alias not in built_in))
        }

    def put_beneath(self, raw: dict[str, Any], /) -> tuple[str, ...]:
        """Add a layer's sections to config.toml's tables `raw`, where it has none of that name. Return the
        sections that were added.

        A file without engines gets the shipped engines. An alias in `raw` that equals the shipped alias gives
        way to the layer's: the operator copied it, and did not choose it.
        """
        effective = []
        engines = raw.get("engines", copy.deepcopy(shipped_defaults()["engines"]))
        if self.engines and isinstance(engines, dict):
            effective += [f"engines.{name}" for name in self.engines if name not in engines]
            raw["engines"] = {**copy.deepcopy(self.engines), **engines}
        models = raw.get("models", {})
        if isinstance(models, dict):
            copied = {
                name for name, listed in models.items() if listed == shipped_defaults()["models"].get(name)
            }
            raw["models"] = {name: models[name] for name in models if name not in copied & self.models.keys()}
            effective += [f"models.{name}" for name in self.models if name not in raw["models"]]
        server = raw.get("server", {})
        if self.converter and isinstance(server, dict) and "converter" not in server:
            raw["server"] = {**server, "converter": self.converter}
            effective.append("server.converter")
        return tuple(effective)


def pullable_plugins() -> Mapping[str, str]:
    from proxy.engines import registry

    return registry.load().pullable()


def layer_of(reader: Reader, data: Path) -> NoLayer:
    """Return the layer of a data folder. The reader gets a warning of what is left out."""

    def leave_out(section: str, reason: str) -> None:
        reader.warn(FILE, f"{section} is left out, your own configuration may have it: {reason}")

    try:
        return read_layer(data, pullable_plugins, leave_out) or NoLayer()
    except ConfigError as error:
        reader.warn(FILE, f"it is left out, and with it its voices: {error}")
        return NoLayer()


def settings_in(folder: Path) -> Mapping[str, Any]:
    """Return the settings of a backup's file. Raise ConfigError for what no command writes."""

    def refuse(section: str, why: str) -> None:
        raise ConfigError(f"{FILE}: {ascii(f'{section}: {why}')[1:-1][:300]}")

    layer = read_layer(folder, pullable_plugins, refuse) or Layer()
    return {"engines": layer.engines, "models": layer.models}


def read_layer(data: Path, plugins: Plugins, leave_out: LeaveOut) -> Layer | None:
    """Return the layer, or None without a file. `leave_out` gets each section that commands do not write.

    Raise ConfigError if the file makes no sense."""
    file = data / FILE
    try:
        raw = msgspec.convert(parse_toml(_read_plain_file(file).decode()), dict[str, dict[str, Any]])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        # ValueError is that of tomllib, of msgspec, and of bytes that are no text.
        raise ConfigError(f"{file}: {error}") from None
    for other in raw.keys() - {"engines", "models", "server"}:
        leave_out(other, "no command writes it here")
    engines: dict[str, dict[str, Any]] = {}
    models: dict[str, list[str]] = {}
    known = plugins() if raw.get("engines") else {}
    for name, section in raw.get("engines", {}).items():
        try:
            engines[name] = _checked_engine(name, section, known)
        except ValueError as fault:
            leave_out(f"engines.{name}", str(fault))
    for alias, candidates in raw.get("models", {}).items():
        try:
            models |= msgspec.convert({alias: candidates}, _Candidates)
        except ValueError as fault:
            leave_out(f"models.{alias}", str(fault))
    usable = {*engines, *shipped_defaults()["engines"]}
    converter = _checked_converter(raw.get("server", {}), engines, leave_out)
    return Layer(engines, _keep_candidates_of(usable, models, leave_out), converter)


def _checked_converter(server: object, engines: Container[str], leave_out: LeaveOut) -> str:
    """Return the converter of [server], or "". `leave_out` gets a section that no command would write."""
    if server == {}:
        return ""
    if isinstance(server, dict) and server.keys() == {"converter"}:
        converter = server["converter"]
        if isinstance(converter, str) and converter in engines:
            return converter
    leave_out("server", "a command writes only the converter here, an engine of this file")
    return ""


def _keep_candidates_of(
    engines: Container[str], models: Mapping[str, list[str]], leave_out: LeaveOut
) -> dict[str, list[str]]:
    """Return the aliases with the candidates of `engines` alone. `leave_out` gets an alias that loses one."""
    remaining = {}
    for alias, candidates in models.items():
        usable = [each for each in candidates if each.partition("/")[0] in engines]
        if usable != candidates:
            others = ", ".join(each for each in candidates if each not in usable)
            leave_out(f"models.{alias}", f"the engines of {others} are neither in this file nor shipped")
        if usable:
            remaining[alias] = usable
    return remaining


def _checked_engine(name: str, section: object, plugins: Mapping[str, str]) -> dict[str, Any]:
    """Return the section of an engine. Raise ValueError if no command would write it."""
    table = msgspec.convert(section, dict[str, Any])
    plugin = table.get("plugin", name)
    if not isinstance(plugin, str) or plugin not in plugins:
        raise ValueError(f"{plugin!r} is no plugin that models are pulled for; known: {', '.join(plugins)}")
    if not re.fullmatch(rf"{re.escape(plugin)}(-[a-z0-9._-]+)?", name):
        raise ValueError(f"an engine of {plugin} is called {plugin} or {plugin}-NAME here")
    models_setting = plugins[plugin]
    msgspec.convert({key: value for key, value in table.items() if key != models_setting}, EngineKeys)
    if models_setting:
        msgspec.convert(table.get(models_setting, []), list[ModelName])
    return table


def _read_plain_file(file: Path) -> bytes:
    """Return the content. Raise ValueError for a pipe, which would block every command, and for a device,
    which has no end."""
    # A link is refused, because voxgate never makes one here.
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is no plain file")
        with open(descriptor, "rb", closefd=False) as opened_file:
            content = opened_file.read(_MOST_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > _MOST_BYTES:
        raise ValueError(f"it has more than {_MOST_BYTES} bytes")
    return content
