"""natural.toml in the data folder: natural voices, as a layer above the defaults and beneath the file.

It is a layer of its own: a model's manifest has no place for aliases, their order, or licences that an
operator has accepted. Only commands write it. It may come from a stranger's backup, so a section with other
keys than commands write is left out, and a server starts without it.
"""

from __future__ import annotations

import copy
import json
import os
import re
import stat
import tempfile
import tomllib
from collections.abc import Callable, Container, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import msgspec

from proxy.config.model_names import hearing_model
from proxy.config.reader import ConfigError
from proxy.config.sections import EngineSection
from speech_engine.model_manifest import ModelName

FILE = "natural.toml"
_MOST_BYTES = 1_000_000

_HEAD = """\
# Written by voxgate, and written anew by voxgate voices natural and voxgate models pull. A section or an
# alias of the same name in your own configuration wins. To be without it for good, leave this file empty.
"""

Plugins = Callable[[], Mapping[str, str]]
"""Returns the plugins whose engines may be in the file, each with its setting for a list of models, or ""."""
LeaveOut = Callable[[str, str], None]
"""Called with the name of a section that is left out, and the reason. It may raise."""

_NO_KEYS = re.compile(
    r"""#[^\n]*|\"{3}(?:[^"\\]|\\.|\"(?!\"\"))*+(?:\"{3}|\\?\Z)|'{3}.*?(?:'{3}|\Z)"""
    r"""|\"(?:[^"\\\n]|\\[^\n])*+\"?|'[^'\n]*'?""",
    re.DOTALL,
)
"""Comments and texts: a dot in them does not separate keys."""
_Alias = Annotated[str, msgspec.Meta(pattern=r"^(?!env:|file:)[^/]+\Z")]
_Model = Annotated[str, msgspec.Meta(pattern=r"^(?!env:|file:)[^/]+/.+\Z")]
_Candidates = dict[_Alias, Annotated[list[_Model], msgspec.Meta(min_length=1)]]


class EngineKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The keys of an engine's section. Some plugins also have a list of models."""

    plugin: str = ""
    model: ModelName = ""
    accept_licence: Annotated[str, msgspec.Meta(pattern=r"^(?!env:|file:)")] = ""


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
def shipped() -> Mapping[str, Any]:
    """Return the shipped defaults, which are beneath this layer."""
    return tomllib.loads((Path(__file__).parent / "defaults.toml").read_text())


def parse(text: str) -> dict[str, Any]:
    """Return the tables of a stranger's TOML. Raise ValueError and RecursionError as tomllib does."""
    # For a key of n parts, tomllib takes memory for n * n.
    if sum(line.count(".") ** 2 for line in _NO_KEYS.sub("", text).split("\n")) > 4_000_000:
        raise ValueError("it has too many dots in a line")
    return tomllib.loads(text)


def read(data: Path, plugins: Plugins, leave_out: LeaveOut) -> Layer | None:
    """Return the layer, or None without a file. `leave_out` gets each section that commands do not write.

    Raise ConfigError if the file makes no sense."""
    file = data / FILE
    try:
        raw = msgspec.convert(parse(_content(file).decode()), dict[str, dict[str, Any]])
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
            engines[name] = _engine(name, section, known)
        except ValueError as fault:
            leave_out(f"engines.{name}", str(fault))
    for alias, listed in raw.get("models", {}).items():
        try:
            models |= msgspec.convert({alias: listed}, _Candidates)
        except ValueError as fault:
            leave_out(f"models.{alias}", str(fault))
    return Layer(engines, _of_engines({*engines, *shipped()["engines"]}, models, leave_out))


def _of_engines(
    engines: Container[str], models: Mapping[str, list[str]], leave_out: LeaveOut
) -> dict[str, list[str]]:
    """Return the aliases without the candidates of other engines."""
    found = {}
    for alias, candidates in models.items():
        own = [each for each in candidates if each.partition("/")[0] in engines]
        if own != candidates:
            others = ", ".join(each for each in candidates if each not in own)
            leave_out(f"models.{alias}", f"the engines of {others} are not in this file")
        if own:
            found[alias] = own
    return found


def _engine(name: str, section: object, plugins: Mapping[str, str]) -> dict[str, Any]:
    table = msgspec.convert(section, dict[str, Any])
    plugin = table.get("plugin", name)
    if not isinstance(plugin, str) or plugin not in plugins:
        raise ValueError(f"{plugin!r} is no plugin that models are pulled for; known: {', '.join(plugins)}")
    if not re.fullmatch(rf"{re.escape(plugin)}(-[a-z0-9._-]+)?", name):
        raise ValueError(f"an engine of {plugin} is called {plugin} or {plugin}-NAME here")
    listed_in = plugins[plugin]
    msgspec.convert({key: value for key, value in table.items() if key != listed_in}, EngineKeys)
    if listed_in:
        msgspec.convert(table.get(listed_in, []), list[ModelName])
    return table


def _content(file: Path) -> bytes:
    """Return the content of a plain file. A pipe would block every command, and a device has no end."""
    # No link either, because voxgate never makes one.
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is no plain file")
        with open(descriptor, "rb", closefd=False) as opened:
            content = opened.read(_MOST_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > _MOST_BYTES:
        raise ValueError(f"it has more than {_MOST_BYTES} bytes")
    return content


def above(layer: Layer, engines: Mapping[str, EngineSection]) -> dict[str, list[str]]:
    """Return the candidates of each alias that needs no file: the layer's, then the built-in candidates.

    An operator's engine in `engines` with a name of this layer counts only if it has the same plugin and no
    runner, which would cost money.
    """
    meant = {**shipped()["engines"], **layer.engines}
    same = [
        name
        for name, each in engines.items()
        if name in meant and each.plugin == meant[name].get("plugin", name) and not each.runner
    ]
    built_in = shipped()["models"]
    own = _of_engines(same, layer.models, lambda _section, _why: None)
    # A file of an older version does not have the dated names of 2023.
    dated = {alias: own[short] for alias in built_in if (short := alias.removesuffix("-1106")) in own}
    own = {**dated, **own}
    return {
        alias: list(dict.fromkeys((*own.get(alias, ()), *built_in.get(alias, ()))))
        for alias in (*built_in, *(alias for alias in own if alias not in built_in))
    }


BRINGS_EARS = "voxgate models pull whisper-base, then a restart, brings a model that hears."


def ears(engines: Mapping[str, EngineSection]) -> dict[str, list[str]]:
    """Return the candidates of each built-in name of a model that hears. An engine with an imported model
    hears with that one."""
    own = {name: f"{name}/{id_}" for name, section in engines.items() if (id_ := hearing_model(section))}
    built_in = shipped()["hearing"].items()
    return {alias: [own.get(full.partition("/")[0], full) for full in listed] for alias, listed in built_in}


def lay_beneath(raw: dict[str, Any], layer: Layer) -> tuple[str, ...]:
    """Put a layer beneath a file's tables, in place. Return the sections of the layer that have an effect.

    A file without engines has the shipped engines. An alias that is a copy of a shipped alias has no effect:
    a copied file is no choice of the operator.
    """
    counting = []
    engines = raw.get("engines", copy.deepcopy(shipped()["engines"]))
    if layer.engines and isinstance(engines, dict):
        counting += [f"engines.{name}" for name in layer.engines if name not in engines]
        raw["engines"] = {**copy.deepcopy(layer.engines), **engines}
    models = raw.get("models", {})
    if isinstance(models, dict):
        copied = {name for name, listed in models.items() if listed == shipped()["models"].get(name)}
        raw["models"] = {name: models[name] for name in models if name not in copied & layer.models.keys()}
        counting += [f"models.{name}" for name in layer.models if name not in raw["models"]]
    return tuple(counting)


def write(data: Path, layer: Layer, remark: str = "") -> Path:
    """Write a layer, whole or not at all. Raise OSError. `remark` is a comment about the reason."""
    made = _written(data, layer, remark)
    try:
        return made.rename(data / FILE)
    except BaseException:
        made.unlink(missing_ok=True)
        raise


def write_first(data: Path, layer: Layer, remark: str) -> None:
    """Write a layer, unless the file exists: it may name voices in use. Raise OSError."""
    made = _written(data, layer, remark)
    try:
        with suppress(FileExistsError):
            (data / FILE).hardlink_to(made)
    finally:
        made.unlink()


def _written(data: Path, layer: Layer, remark: str) -> Path:
    remarks = "".join(f"# {line}\n" for line in remark.splitlines())
    made, path = tempfile.mkstemp(prefix=f".{FILE}-", dir=data)
    try:
        with os.fdopen(made, "w") as file:
            file.write(f"{_HEAD}{remarks}\n{text(layer)}")
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        Path(path).unlink(missing_ok=True)
        raise
    return Path(path)


def text(layer: Layer) -> str:
    parts = [_table(f"engines.{_key(name)}", section) for name, section in layer.engines.items()]
    if layer.models:
        parts.append(_table("models", layer.models))
    return "\n".join(parts)


def _table(name: str, values: Mapping[str, Any]) -> str:
    return "".join((f"[{name}]\n", *(f"{_key(key)} = {_value(value)}\n" for key, value in values.items())))


def _key(name: str) -> str:
    is_bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if is_bare else _value(name)


def _value(value: str | list[str]) -> str:
    """Return a value of TOML: JSON's texts and lists are such values."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
