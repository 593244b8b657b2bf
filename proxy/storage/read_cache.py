"""Values that are read elsewhere, believed for some seconds, and read once for all who want the same one.

Used for what another worker may change at any time: keys, libraries of accounts, sums of costs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, NamedTuple, TypeVar

from cachetools import Cache, LRUCache

K = TypeVar("K")
V = TypeVar("V")


class _Entry(NamedTuple, Generic[V]):
    value: V
    until: float
    weight: float


class ReadCache(Generic[K, V]):
    """A cache that reads what it lacks; one task of the event loop may use it at a time.

    `ttl_s` says for how long a value is believed, counted from before its read. If it is 0 or less, the value
    is given to those who wait for it, and not kept. `most` limits the weights of all values together; each
    counts 1 without `weight`. The least recently used values go first. A value that is heavier than `most` is
    kept alone. `clock` counts seconds and never goes back.
    """

    def __init__(
        self,
        read: Callable[[K], Awaitable[V]],
        ttl_s: Callable[[V], float],
        *,
        most: float,
        weight: Callable[[V], float] = lambda _value: 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._ttl_s = ttl_s
        self._most = most
        self._weight = weight
        self._clock = clock
        self._entries: LRUCache[K, _Entry[V]] = LRUCache(most, getsizeof=lambda entry: entry.weight)
        self._reads: dict[K, asyncio.Task[V]] = {}
        # The event loop alone would let go of a read that nobody awaits any more.
        self._under_way: set[asyncio.Task[V]] = set()

    def __repr__(self) -> str:
        return f"<ReadCache {len(self._entries)} kept, {len(self._under_way)} being read>"

    def __len__(self) -> int:
        return len(self._entries)

    async def get(self, key: K) -> V:
        """Return the value, read now if it is not kept. Raises what the read raises, and keeps no failure."""
        entry = self._entries.get(key)
        if entry is not None and self._clock() < entry.until:
            return entry.value
        read = self._reads.get(key)
        if read is None:
            read = self._reads[key] = asyncio.create_task(self._read_and_keep(key))
            self._under_way.add(read)
            read.add_done_callback(lambda done: self._end(key, done))
        # Shielded: the first one to ask may leave, and the others still wait for the value.
        return await asyncio.shield(read)

    def kept(self, key: K) -> V | None:
        """Return the value if it is still believed, without a read."""
        entry = self._entries.get(key)
        return entry.value if entry is not None and self._clock() < entry.until else None

    def last(self, key: K) -> V | None:
        """Return the value that was read last, however long ago, if it is still here."""
        entry = self._peek(key)
        return None if entry is None else entry.value

    def forget(self, key: K) -> None:
        """Drop a value. A read under way may be older than the change: its value is not kept, and nobody
        joins it."""
        self._entries.pop(key, None)
        self._reads.pop(key, None)

    def forget_if(self, concerns: Callable[[V], bool]) -> None:
        """Drop the values that a change concerns. Reads under way may be older than the change: none of
        them is kept or joined."""
        self._reads.clear()
        for key in list(self._entries):
            entry = self._peek(key)
            if entry is not None and concerns(entry.value):
                del self._entries[key]

    def _peek(self, key: K) -> _Entry[V] | None:
        # `self._entries[key]` would make it the most recently used.
        return Cache.__getitem__(self._entries, key) if key in self._entries else None

    async def _read_and_keep(self, key: K) -> V:
        # Taken before the read: the value was true then, and perhaps not later.
        began_at = self._clock()
        value = await self._read(key)
        if self._reads.get(key) is asyncio.current_task():
            ttl_s = self._ttl_s(value)
            if ttl_s > 0:
                weight = min(self._weight(value), self._most)
                self._entries[key] = _Entry(value, began_at + ttl_s, weight)
            else:
                self._entries.pop(key, None)
        return value

    def _end(self, key: K, read: asyncio.Task[V]) -> None:
        self._under_way.discard(read)
        if self._reads.get(key) is read:
            del self._reads[key]
        # A failure that nobody waits for any more would be reported as lost unless somebody looks at it.
        if not read.cancelled():
            read.exception()
