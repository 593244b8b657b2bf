"""A watch on commits: it names the statement of a unit that held the database for long, but no values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import structlog

from proxy.storage.turns import MOST_ROWS

HELD_S = 0.05
"""SQLite: the CPU time of the writer, for which all other writes wait."""
TAKEN_S = 0.25
"""PostgreSQL: the time of a unit, whose rows are locked. It has the waits for locks and the network, too."""

_log = structlog.get_logger()


def log_if_held(statements: Iterable[str], laps: Sequence[float], most_s: float, rows: int = 0) -> None:
    """Log a unit that took longer, or changed too many rows. `laps` are the times before and after each of
    its statements."""
    held_s = laps[-1] - laps[0]
    if held_s > most_s or rows > MOST_ROWS:
        took = (after - before for before, after in pairwise(laps))
        _, longest = max(zip(took, statements, strict=True))
        statement = " ".join(longest.split(None, 3)[:3])
        _log.warning("commit.held", held_ms=round(held_s * 1000), rows=rows, statement=statement)
