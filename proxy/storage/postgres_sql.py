"""SQL in PostgreSQL's form: numbered parameters."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

# The first pattern that matches wins: a colon inside a literal, a comment or a cast names no parameter.
_TOKEN = re.compile(
    r"""
      '(?:[^']|'')*'
    | "(?:[^"]|"")*"
    | --[^\n]*
    | /\*.*?\*/
    | \$(\w*)\$.*?\$\1\$
    | ::
    | :(?P<name>[A-Za-z_]\w*)
    """,
    re.VERBOSE | re.DOTALL,
)


class NumberedSql(NamedTuple):
    """SQL with `$1`, `$2`, …, and the name that each number stands for, in order."""

    sql: str
    names: tuple[str, ...]


@lru_cache(maxsize=1024)
def number_parameters(sql: str) -> NumberedSql:
    """Replace `:name` by `$1`. A name that comes twice keeps its number, so that its value is sent once."""
    names: dict[str, int] = {}

    def number(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None:
            return match[0]
        return f"${names.setdefault(name, len(names) + 1)}"

    translated = _TOKEN.sub(number, sql)
    return NumberedSql(translated, tuple(names))
