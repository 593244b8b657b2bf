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
import tomllib
from collections.abc import Callable, Container, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import msgspec

from proxy.config.model_names import hearing_model, with_dated
from proxy.config.reader import ConfigError
from proxy.config.sections import EngineSection
from speech_engine.model_manifest import ModelName

FILE = "natural.toml"
_MOST_BYTES = 1_000_000

Plugins = Callable[[], Mapping[str, str]]
"""Returns the plugins whose engines may be in the file, each with its setting for a list of models, or ""."""
LeaveOut = Callable[[str, str], None]
"""Called with the name of a section that is left out, and the reason. It may raise."""

_COMMENTS_AND_STRINGS = re.compile(
    r"""#[^\n]*|\"{3}(?:[^"\\]|\\.|\"(?!\"\"))*+(?:\"{3}|\\?\Z)|'{3}.*?(?:'{3}|\Z)"""
    r"""|\"(?:[^"\\\n]|\\[^\n])*+\"?|'[^'\n]*'?""",
    re.DOTALL,
)
"""These parts are removed before dots are counted: a dot in them does not separate keys."""
_Alias = Annotated[str, msgspec.Meta(pattern=r"^(?!env:|file:)[^/]+\Z")]
_Model = Annotated[str, msgspec.Meta(pattern=r"^(?!env:|file:)[^/]+/.+\Z")]
_Candidates = dict[_Alias, Annotated[list[_Model], msgspec.Meta(min_length=1)]]


class EngineKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The keys of an engine's section. Some plugins also have a list of models."""

    plugin: str = ""
    model: ModelName = ""
    accept_licence: Annotated[str, msgspec.Meta(pattern=r"^(?!env:|file:)")] = ""
    stands_in: bool = False


class Layer(msgspec.Struct, frozen=True):
    """The content of natural.toml: sections of engines, and aliases with their candidates.

    Built-in candidates of an alias come after the candidates here.
    """

    engines: dict[str, dict[str, Any]] = {}
    models: dict[str, list[str]] = {}

    @property
    def sections(self) -> tuple[str, ...]:
        return (*(f"engines.{name}" for name in self.engines), *(f"models.{name}" for name in self.models))


@cache
def shipped_defaults() -> Mapping[str, Any]:
    """Return the content of defaults.toml."""
    return tomllib.loads((Path(__file__).parent / "defaults.toml").read_text())


def parse_toml(text: str) -> dict[str, Any]:
    """Return the tables of a stranger's TOML. Raise ValueError and RecursionError as tomllib does."""
    # For a key of n parts, tomllib takes memory for n * n.
    squared_dots = sum(line.count(".") ** 2 for line in _COMMENTS_AND_STRINGS.sub("", text).split("\n"))
    if squared_dots > 4_000_000:
        raise ValueError("it has too many dots in a line")
    return tomllib.loads(text)


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
    for other in raw.keys() - {"engines", "models"}:
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
    return Layer(engines, _keep_candidates_of({*engines, *shipped_defaults()["engines"]}, models, leave_out))


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


def candidates_by_alias(layer: Layer, engines: Mapping[str, EngineSection]) -> dict[str, list[str]]:
    """Return the candidates of the aliases that need no config.toml: the layer's, then the built-in ones.

    `engines` are those of the configuration. One of them has the layer's candidates only if it has the plugin
    of the layer's (or shipped) engine of that name, and no runner, which would cost money.
    """
    our_engines = {**shipped_defaults()["engines"], **layer.engines}
    usable_engines = [
        name
        for name, each in engines.items()
        if name in our_engines and each.plugin == our_engines[name].get("plugin", name) and not each.runner
    ]
    built_in = shipped_defaults()["models"]
    from_layer = _keep_candidates_of(usable_engines, layer.models, lambda _section, _why: None)
    from_layer = with_dated(from_layer, built_in)
    return {
        alias: list(dict.fromkeys((*from_layer.get(alias, ()), *built_in.get(alias, ()))))
        for alias in (*built_in, *(alias for alias in from_layer if alias not in built_in))
    }


HOW_TO_HEAR = "voxgate models pull whisper-base, then a restart, brings a model that hears."


def hearing_candidates(engines: Mapping[str, EngineSection]) -> dict[str, list[str]]:
    """Return the candidates of each built-in name of a model that writes recordings down. An engine with an
    imported model does it with that one."""
    imported = {name: f"{name}/{id_}" for name, section in engines.items() if (id_ := hearing_model(section))}
    built_in = shipped_defaults()["hearing"].items()
    return {
        alias: [imported.get(full_name.partition("/")[0], full_name) for full_name in full_names]
        for alias, full_names in built_in
    }


def put_layer_beneath(raw: dict[str, Any], layer: Layer) -> tuple[str, ...]:
    """Add a layer's sections to config.toml's tables `raw`, where it has none of that name. Return the
    sections that were added.

    A file without engines gets the shipped engines. An alias in `raw` that equals the shipped alias gives way
    to the layer's: the operator copied it, and did not choose it.
    """
    effective = []
    engines = raw.get("engines", copy.deepcopy(shipped_defaults()["engines"]))
    if layer.engines and isinstance(engines, dict):
        effective += [f"engines.{name}" for name in layer.engines if name not in engines]
        raw["engines"] = {**copy.deepcopy(layer.engines), **engines}
    models = raw.get("models", {})
    if isinstance(models, dict):
        copied = {name for name, listed in models.items() if listed == shipped_defaults()["models"].get(name)}
        raw["models"] = {name: models[name] for name in models if name not in copied & layer.models.keys()}
        effective += [f"models.{name}" for name in layer.models if name not in raw["models"]]
    return tuple(effective)
