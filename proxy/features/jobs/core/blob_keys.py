"""SQL of rows that name blobs, and the saved voices in them: what goes when a voice is erased."""

from __future__ import annotations

from collections.abc import Collection

BY_VOICE = "voices <> '' AND voices LIKE '% ' || {} || ' %'"
# A blob without its row has no key any more. No other row names these: each begins otherwise.
_DROP_KEYS = """
DELETE FROM blobs WHERE EXISTS (
    SELECT 1 FROM {table} WHERE {table}.account = blobs.account AND blobs.digest IN ({names}) AND {{only}}
)
"""
_IS_ERASED = """
{table}.voices <> '' AND EXISTS (
    SELECT 1 FROM erasures WHERE {began}{table}.voices LIKE '% ' || erasures.subject || ' %'
)
"""


def drop_keys(table: str, *columns: str) -> str:
    """Return SQL that deletes the keys of what these columns of a table name, of its rows `{only}`."""
    return _DROP_KEYS.format(table=table, names=", ".join(f"{table}.{each}" for each in columns))


def is_erased(table: str, began: str = "") -> str:
    """Return SQL for a row in which a voice speaks that was erased, perhaps since it `began`."""
    return _IS_ERASED.format(table=table, began=began)


def voices_column(voices: Collection[str]) -> str:
    return f" {' '.join(sorted(voices))} " if voices else ""
