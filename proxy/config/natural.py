"""natural.toml in the data folder: natural voices, as a layer above the defaults and beneath the file.

Commands write it whole, and no person need read it. So whatever is wrong with it, a server starts without it.
"""

from __future__ import annotations

import copy
import json
import os
import stat
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import msgspec

from proxy.config.engines import read_engines
from proxy.config.reader import ConfigError, Reader

FILE = "natural.toml"
_MOST_BYTES = 1_000_000

_HEAD = """\
# Written by voxgate, and written anew by voxgate voices natural and voxgate models pull. A section or an
# alias of the same name in your own configuration wins. To be without it for good, leave this file empty.
"""

_Model = Annotated[str, msgspec.Meta(pattern=r"^[^/]+/.+\Z")]


class Layer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What natural.toml says: sections of engines, and aliases with their candidates.

    Built-in candidates that an alias does not name come after those that it names.
    """

    engines: dict[str, dict[str, Any]] = {}
    models: dict[str, Annotated[list[_Model], msgspec.Meta(min_length=1)]] = {}

    def __repr__(self) -> str:
        return f"<Layer {', '.join(self.sections)}>"

    @property
    def sections(self) -> tuple[str, ...]:
        return (*(f"engines.{name}" for name in self.engines), *(f"models.{name}" for name in self.models))


def read(data: Path) -> Layer | None:
    """Return the layer of a data folder, or None without a file. Raise ConfigError if it makes no sense."""
    file = data / FILE
    try:
        layer = msgspec.convert(tomllib.loads(_content(file).decode()), Layer)
        text(layer)  # what could not be written again is no part of it: dates, and numbers without end
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        # ValueError is that of tomllib, of msgspec, and of bytes that are no text.
        raise ConfigError(f"{file}: {error}") from None
    reader = Reader(str(file))
    read_engines(reader, copy.deepcopy(layer.engines), {}, data)
    reader.raise_if_wrong()
    return layer


def _content(file: Path) -> bytes:
    """Read a file that may be anything: a pipe would keep every command waiting, and a device never ends."""
    # No link either: only voxgate writes here, and never makes one.
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


def above(layer: Layer, built_in: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return the candidates of each alias that needs no file: the layer's, then the built-in ones."""
    return {
        alias: list(dict.fromkeys((*layer.models.get(alias, ()), *built_in.get(alias, ()))))
        for alias in (*built_in, *(alias for alias in layer.models if alias not in built_in))
    }


def lay_beneath(raw: dict[str, Any], layer: Layer, shipped: Mapping[str, Any]) -> tuple[str, ...]:
    """Put a layer beneath a file's tables, in place. Return the sections of the layer that count.

    A file that has no engines has the shipped ones. An alias in it that is a copy of a shipped one is as good
    as none: a copied file chooses nothing.
    """
    counting = []
    engines = raw.get("engines", copy.deepcopy(dict(shipped["engines"])))
    if layer.engines and isinstance(engines, dict):
        counting += [f"engines.{name}" for name in layer.engines if name not in engines]
        raw["engines"] = {**copy.deepcopy(layer.engines), **engines}
    models = raw.get("models", {})
    if isinstance(models, dict):
        copied = {name for name, listed in models.items() if listed == shipped["models"].get(name)}
        raw["models"] = {name: models[name] for name in models if name not in copied & layer.models.keys()}
        counting += [f"models.{name}" for name in layer.models if name not in raw["models"]]
    return tuple(counting)


def write(data: Path, layer: Layer, remark: str = "") -> Path:
    """Write a layer, whole or not at all. Raise OSError. `remark` is a line that says why it is so."""
    made = _written(data, layer, remark)
    try:
        return made.rename(data / FILE)
    except BaseException:
        made.unlink(missing_ok=True)
        raise


def write_first(data: Path, layer: Layer, remark: str) -> None:
    """Write a layer, unless there is a file: voices in use may be in it. Raise OSError."""
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
    """Return a layer as the lines of a configuration."""
    parts = [_table(f"engines.{_key(name)}", section) for name, section in layer.engines.items()]
    if layer.models:
        parts.append(_table("models", layer.models))
    return "\n".join(parts)


def _table(name: str, values: Mapping[str, Any]) -> str:
    return "".join((f"[{name}]\n", *(f"{_key(key)} = {_value(value)}\n" for key, value in values.items())))


def _key(name: str) -> str:
    is_bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if is_bare else _value(name)


def _value(value: Any) -> str:
    """Return a value of TOML. JSON's texts, numbers and booleans are such values. Raise ValueError."""
    if isinstance(value, dict):
        pairs = ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if not isinstance(value, str | int | float):
        raise ValueError(f"{value!r}: only texts, numbers, true, false, lists and tables can stand here")
    return json.dumps(value, ensure_ascii=False, allow_nan=False).replace("\x7f", "\\u007f")
