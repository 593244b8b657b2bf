"""The settings that a backup brings, as lines for the operator to read before they count."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_SECRET = re.compile(r"(^|_)(key|token|secret|password|auth)\Z")
_WITHOUT_SECRETS = ("models", "routes", "voices", "plans", "webhooks")
"""Sections whose names are those of accounts and aliases, and say nothing of what they hold."""
_USER = re.compile(r"(?<=://)[^/?#]*@")
_QUERY = re.compile(r"(?<=\?).+")


def lines(file: str, tables: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each entry, in printable ASCII: a stranger may have written it. No secret is shown."""
    for section, table in tables.items():
        for name, value in table.items() if isinstance(table, dict) else [("", table)]:
            shown = {
                f"{section}.{name}".strip("."): value
                if section in _WITHOUT_SECRETS
                else _without_secrets(name, value)
            }
            yield f"{file}: {json.dumps(shown, default=str)[1:-1]}".replace("\x7f", "\\u007f")


def _without_secrets(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_secrets(name, each) for name, each in value.items()}
    if isinstance(value, list):
        return [_without_secrets(key, each) for each in value]
    if not isinstance(value, str) or value.startswith(("env:", "file:")):
        return value
    return "(not shown)" if _SECRET.search(key.lower()) else _QUERY.sub("(not shown)", _USER.sub("", value))
