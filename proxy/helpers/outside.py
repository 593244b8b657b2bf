"""What the core finds by a name, and does without if its folder is away. Features that import it need it."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TypeVar

T = TypeVar("T")


def outside(module: str, name: str, without: T) -> T:
    """Return what a module has under a name, or `without` if the folder of the module is not there."""
    found: T = getattr(import_module(module), name) if _is_there(module.rpartition(".")[0]) else without
    return found


@cache
def _is_there(folder: str) -> bool:
    spec = find_spec(folder)
    # A folder that was deleted may still have its __pycache__: then it is a package without a file.
    return spec is not None and spec.origin is not None
