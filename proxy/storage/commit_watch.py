"""A watch on commits: it names the statement of a unit that held the database for long, but no values."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from proxy.storage.turns import MOST_ROWS

HELD_S = 0.05
"""SQLite: the CPU time of the writer, for which all other writes wait."""
TAKEN_S = 0.25
"""PostgreSQL: the time of a unit, whose rows are locked. It has the waits for locks and the network, too."""
_NAMED_WORDS = 3

_log = structlog.get_logger()


class UnitWatch:
    """Watches one unit. `clock` counts seconds, and `rows` the rows that were changed so far."""

    def __init__(self, most_s: float, clock: Callable[[], float], rows: Callable[[], int] = int) -> None:
        self._most_s = most_s
        self._clock = clock
        self._rows = rows
        self._begun = self._before = clock()
        self._rows_before = rows()
        self._longest = (0.0, "")

    def note(self, sql: str) -> None:
        """Note that a statement has ended."""
        now = self._clock()
        self._longest = max(self._longest, (now - self._before, sql))
        self._before = now

    def end(self) -> None:
        """Log a unit that was too long, or changed too many rows."""
        held_s, rows = self._before - self._begun, self._rows() - self._rows_before
        if held_s > self._most_s or rows > MOST_ROWS:
            statement = " ".join(self._longest[1].split(None, _NAMED_WORDS)[:_NAMED_WORDS])
            _log.warning("commit.held", held_ms=round(held_s * 1000), rows=rows, statement=statement)
