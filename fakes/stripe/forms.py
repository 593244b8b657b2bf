"""Bracketed forms: `line_items[0][price_data][currency]=brl` as a tree."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

_PART = re.compile(r"\[([^\]]*)\]")


def tree(text: str) -> dict[str, Any]:
    """Return the fields of a form. A list is a table whose names are numbers, or came as `[]`."""
    found: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        head, _, _ = name.partition("[")
        *path, last = [head, *_PART.findall(name)]
        place = found
        for part in path:
            place = place.setdefault(part or str(len(place)), {})
        place[last or str(len(place))] = value
    return found


def values(branch: Any) -> list[Any]:
    """Return the members of a list."""
    return list(branch.values()) if isinstance(branch, dict) else []
