"""The writing of natural.toml, which `proxy/features/models/natural.py` reads."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from proxy.features.models.natural import FILE, Layer

_HEAD = """\
# Written by voxgate, and written anew by voxgate voices natural and voxgate models pull. A section or an
# alias of the same name in your own configuration wins. To be without it for good, leave this file empty.
"""


def write_layer(data: Path, layer: Layer, remark: str = "") -> Path:
    """Write a layer, whole or not at all. Raise OSError. `remark` becomes a comment at the top."""
    temporary = _write_temporary(data, layer, remark)
    try:
        return temporary.rename(data / FILE)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_layer_if_absent(data: Path, layer: Layer, remark: str) -> None:
    """Write a layer, unless the file exists: an existing one may name voices in use. Raise OSError."""
    temporary = _write_temporary(data, layer, remark)
    try:
        with suppress(FileExistsError):
            (data / FILE).hardlink_to(temporary)
    finally:
        temporary.unlink()


def _write_temporary(data: Path, layer: Layer, remark: str) -> Path:
    remarks = "".join(f"# {line}\n" for line in remark.splitlines())
    descriptor, path = tempfile.mkstemp(prefix=f".{FILE}-", dir=data)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{_HEAD}{remarks}\n{layer_as_toml(layer)}")
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        Path(path).unlink(missing_ok=True)
        raise
    return Path(path)


def layer_as_toml(layer: Layer) -> str:
    parts = [_toml_table(f"engines.{_toml_key(name)}", section) for name, section in layer.engines.items()]
    if layer.converter:
        parts.append(_toml_table("server", {"converter": layer.converter}))
    if layer.models:
        parts.append(_toml_table("models", layer.models))
    return "\n".join(parts)


def _toml_table(name: str, values: Mapping[str, Any]) -> str:
    return "".join(
        (f"[{name}]\n", *(f"{_toml_key(key)} = {_toml_value(value)}\n" for key, value in values.items()))
    )


def _toml_key(name: str) -> str:
    is_bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if is_bare else _toml_value(name)


def _toml_value(value: str | list[str]) -> str:
    """Return a value of TOML: JSON's texts and lists are such values."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
