"""Commits of many rows: each has MOST_ROWS rows at most, and leaves as much time to others as it took."""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

from proxy.storage.store import Row, Statement, Store, write_deletion

MOST_ROWS = 500
_FEW = 20
_MOST_PAUSE_S = 0.1

_turns: WeakKeyDictionary[Store, asyncio.Lock] = WeakKeyDictionary()


async def write_in_turn(store: Store, most_rows: int, *statements: Statement) -> list[list[Row]]:
    """Write a unit of up to so many rows, as `write_deletion` does. A process writes one large unit at a
    time, and pauses for as long as it took: settlements have every second group of SQLite's commits."""
    if most_rows <= _FEW:
        return await write_deletion(store, *statements)
    clock = asyncio.get_running_loop().time
    async with _turns.setdefault(store, asyncio.Lock()):
        began = clock()
        rows = await write_deletion(store, *statements)
        await asyncio.sleep(min(_MOST_PAUSE_S, clock() - began))
    return rows
