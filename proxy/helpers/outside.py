"""What the core finds outside of itself by a name. A server that was installed without it does without."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TypeVar

T = TypeVar("T")


def outside(module: str, name: str, without: T) -> T:
    """Return what a module has under a name, or `without` if the folder of the module is not there."""
    is_there = _is_there(module.rpartition(".")[0])
    found: T = getattr(import_module(module), name) if is_there else without
    return found


@cache
def _is_there(folder: str) -> bool:
    return find_spec(folder) is not None
