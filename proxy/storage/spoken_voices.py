"""The column `voices` of tables of sounds. It has the ids of the saved voices that spoke in a sound."""

from __future__ import annotations

from collections.abc import Collection

BY_VOICE = "voices <> '' AND voices LIKE '% ' || {} || ' %'"
"""SQL that is true if a voice is in the column `voices`, which `voices_column` makes. `{}` is the SQL for the
voice's id."""
_HAS_ERASED = """
{table}.voices <> '' AND EXISTS (
    SELECT 1 FROM erasures WHERE {began}{table}.voices LIKE '% ' || erasures.subject || ' %'
)
"""


def voices_column(voices: Collection[str]) -> str:
    """Return the value of the column: each id with a blank before and after it."""
    return f" {' '.join(sorted(voices))} " if voices else ""


def has_erased_sql(table: str, began: str = "") -> str:
    """Return SQL that is true if an erased voice is in the column `voices`.

    `began` is a condition on the erasures that ends with AND, or "".
    """
    return _HAS_ERASED.format(table=table, began=began)
