"""Several writes as one statement of PostgreSQL: one round trip where a transaction would take one for each.

Only for writes that do not look at one another's rows: all of them see the database as it was before.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from proxy.storage.numbered import renamed
from proxy.storage.store import Statement


def joined(statements: Sequence[Statement]) -> Statement:
    """All or none of them, as of any unit of work; none gives rows."""
    sql = _joined(tuple(statement.sql for statement in statements))
    params = {
        f"{name}_{place}": value
        for place, statement in enumerate(statements)
        for name, value in statement.params.items()
    }
    return Statement(sql, params)


@lru_cache(maxsize=256)
def _joined(texts: tuple[str, ...]) -> str:
    *first, last = (renamed(sql, f"_{place}") for place, sql in enumerate(texts))
    parts = ", ".join(f"part_{place} AS ({sql})" for place, sql in enumerate(first))
    return f"WITH {parts} {last}" if first else last
