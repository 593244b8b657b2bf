"""TOML that a stranger may have written."""

from __future__ import annotations

import tomllib
from typing import Any

_MOST = 4_000_000


def loads(text: str) -> dict[str, Any]:
    """Return the tables of a text. Raise ValueError and RecursionError as tomllib does.

    For a key of n parts, tomllib takes memory for n * n.
    """
    if sum(line.count(".") ** 2 for line in text.split("\n")) > _MOST:
        raise ValueError("it has too many dots in a line")
    return tomllib.loads(text)
