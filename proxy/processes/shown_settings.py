"""The settings that a backup brings, as lines for the operator to read before they count."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_SECRET = ("key", "token", "secret", "password", "auth")
_PRIVATE_PART = re.compile(r"(?<=://)[^/]*@|\?.*")  # of an address: it may hold a password


def lines(file: str, tables: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each entry, in printable ASCII: a stranger may have written it. No secret is shown."""
    for section, table in tables.items():
        for name, value in table.items() if isinstance(table, dict) else [("", table)]:
            shown = {f"{section}.{name}".strip("."): _without_secrets(name, value)}
            yield f"{file}: {json.dumps(shown, default=str)[1:-1]}".replace("\x7f", "\\u007f")


def _without_secrets(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_secrets(name, each) for name, each in value.items()}
    if isinstance(value, list):
        return [_without_secrets(key, each) for each in value]
    if not isinstance(value, str) or value.startswith(("env:", "file:")):
        return value
    return "(not shown)" if any(word in key.lower() for word in _SECRET) else _PRIVATE_PART.sub("", value)
