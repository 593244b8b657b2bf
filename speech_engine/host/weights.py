"""The weights of a network: read from a file, and put in place. Workers that have torch import this."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from speech_engine.model_files import UnusableModel


def read_tensors(file: Path) -> dict[str, Any]:
    """Return the tensors of a file by their names. Raise UnusableModel."""
    try:
        tensors: dict[str, Any] = load_file(file)
    except (OSError, SafetensorError) as error:
        raise UnusableModel(f"{file.name}: it cannot be read: {error}") from None
    return tensors


def fill(network: Any, tensors: Mapping[str, Any], file: str, *, assign: bool = False) -> None:
    """Put tensors of a `file` into a network: all that it has, and no others. Raise UnusableModel."""
    try:
        network.load_state_dict(tensors, assign=assign)
    except RuntimeError as error:
        # The first line has the name of a class, the second what is missing.
        lines = str(error).split("\n")
        raise UnusableModel(f"{file}: {lines[min(1, len(lines) - 1)].strip()}") from None
