"""SQL in PostgreSQL's form: numbered parameters, and several writes in one statement."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from proxy.storage.store import Statement

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


def add_suffix(sql: str, suffix: str) -> str:
    """Add the suffix to each parameter's name, so that the SQL can be joined with other SQL."""
    return _TOKEN.sub(lambda match: match[0] + suffix if match["name"] else match[0], sql)


def join_writes(statements: Sequence[Statement]) -> Statement:
    """Make one statement of several writes: one round trip instead of one for each statement.

    Either all of them happen or none, as in any unit of work. The statement gives no rows. It is only for
    writes that do not look at each other's rows: all of them see the database as it was before.
    """
    sql = _join_sql(tuple(statement.sql for statement in statements))
    params = {
        f"{name}_{place}": value
        for place, statement in enumerate(statements)
        for name, value in statement.params.items()
    }
    return Statement(sql, params)


@lru_cache(maxsize=256)
def _join_sql(texts: tuple[str, ...]) -> str:
    *first, last = (add_suffix(sql, f"_{place}") for place, sql in enumerate(texts))
    parts = ", ".join(f"part_{place} AS ({sql})" for place, sql in enumerate(first))
    return f"WITH {parts} {last}" if first else last
