"""Commits of many rows: each has at most MOST_ROWS rows, and is followed by a pause as long as it took.

If a unit takes long all the same, the log names its longest statement, but no values.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from itertools import pairwise
from weakref import WeakKeyDictionary

import structlog

from proxy.storage.store import Row, Statement, Store, write_deletion

MOST_ROWS = 500
MOST_SQLITE_S = 0.05
"""The most CPU time of a unit in SQLite's writer thread, before it is logged. All other writes wait for
it."""
MOST_POSTGRES_S = 0.25
"""The most time of a unit on PostgreSQL, with its waits for locks and the network, before it is logged. Its
rows are locked meanwhile."""
_FEW_ROWS = 20
_MOST_PAUSE_S = 0.1

_turns: WeakKeyDictionary[Store, asyncio.Lock] = WeakKeyDictionary()
_log = structlog.get_logger()


async def write_in_turn(store: Store, most_rows: int, *statements: Statement) -> list[list[Row]]:
    """Write a unit of up to `most_rows` rows, as `write_deletion` does. A process writes one unit of more
    than `_FEW_ROWS` at a time, and pauses as long as it took: settlements get half of SQLite's time."""
    if most_rows <= _FEW_ROWS:
        return await write_deletion(store, *statements)
    clock = asyncio.get_running_loop().time
    async with _turns.setdefault(store, asyncio.Lock()):
        began = clock()
        rows = await write_deletion(store, *statements)
        await asyncio.sleep(min(_MOST_PAUSE_S, clock() - began))
    return rows


def log_if_long(statements: Iterable[str], laps: Sequence[float], most_s: float, rows: int = 0) -> None:
    """Log a unit that took longer than `most_s`, or changed too many rows. `laps` has the time before its
    first statement and after each one."""
    held_s = laps[-1] - laps[0]
    if held_s > most_s or rows > MOST_ROWS:
        took = (after - before for before, after in pairwise(laps))
        _, longest = max(zip(took, statements, strict=True))
        statement = " ".join(longest.split(None, 3)[:3])
        _log.warning("commit.held", held_ms=round(held_s * 1000), rows=rows, statement=statement)
