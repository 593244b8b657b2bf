"""Values that are read from the database, cached for some seconds, and read once for all callers.

It is for values that another worker may change at any time: keys, libraries of accounts, sums of costs.
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
    """A cache that reads the values it does not have. Only one event loop may use it.

    `ttl_s` says how long a value is cached, counted from the start of its read. If it is 0 or less, only the
    callers that wait get the value. `max_weight` limits the weights of all values together; without `weight`
    each value counts 1. The least recently used values go first. A value that is heavier than `max_weight` is
    cached alone. `clock` counts seconds and never goes back.
    """

    def __init__(
        self,
        read: Callable[[K], Awaitable[V]],
        ttl_s: Callable[[V], float],
        *,
        max_weight: float,
        weight: Callable[[V], float] = lambda _value: 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._ttl_s = ttl_s
        self._max_weight = max_weight
        self._weight = weight
        self._clock = clock
        self._entries: LRUCache[K, _Entry[V]] = LRUCache(max_weight, getsizeof=lambda entry: entry.weight)
        self._reads: dict[K, asyncio.Task[V]] = {}
        # The event loop itself would drop a read that nobody awaits any more.
        self._running_reads: set[asyncio.Task[V]] = set()

    def __repr__(self) -> str:
        return f"<ReadCache {len(self._entries)} cached, {len(self._running_reads)} being read>"

    def __len__(self) -> int:
        return len(self._entries)

    async def get(self, key: K) -> V:
        """Return the value. If it is not cached, read it now. No failure is cached."""
        entry = self._entries.get(key)
        if entry is not None and self._clock() < entry.until:
            return entry.value
        read = self._reads.get(key)
        if read is None:
            read = self._reads[key] = asyncio.create_task(self._read_and_cache(key))
            self._running_reads.add(read)
            read.add_done_callback(lambda done: self._end(key, done))
        # Shielded: the first caller may leave while others still wait for the value.
        return await asyncio.shield(read)

    def cached(self, key: K) -> V | None:
        """Return the value if it is still cached, without a read."""
        entry = self._entries.get(key)
        return entry.value if entry is not None and self._clock() < entry.until else None

    def last_known(self, key: K) -> V | None:
        """Return the value of the last read, however old, if it is still in memory."""
        entry = self._peek(key)
        return None if entry is None else entry.value

    def forget(self, key: K) -> None:
        """Drop a value. A running read may be older than the change: its value is not cached, and no new
        caller waits for it."""
        self._entries.pop(key, None)
        self._reads.pop(key, None)

    def forget_if(self, concerns: Callable[[V], bool]) -> None:
        """Drop the values that a change concerns. Running reads may be older than the change: none of their
        values is cached, and no new caller waits for them."""
        self._reads.clear()
        for key in list(self._entries):
            entry = self._peek(key)
            if entry is not None and concerns(entry.value):
                del self._entries[key]

    def _peek(self, key: K) -> _Entry[V] | None:
        # `self._entries[key]` would make it the most recently used.
        return Cache.__getitem__(self._entries, key) if key in self._entries else None

    async def _read_and_cache(self, key: K) -> V:
        # The time before the read: the value was true then, and perhaps not later.
        began_at = self._clock()
        value = await self._read(key)
        if self._reads.get(key) is asyncio.current_task():
            ttl_s = self._ttl_s(value)
            if ttl_s > 0:
                weight = min(self._weight(value), self._max_weight)
                self._entries[key] = _Entry(value, began_at + ttl_s, weight)
            else:
                self._entries.pop(key, None)
        return value

    def _end(self, key: K, read: asyncio.Task[V]) -> None:
        self._running_reads.discard(read)
        if self._reads.get(key) is read:
            del self._reads[key]
        # asyncio would report a failure that nobody waits for. It is read, so that it does not.
        if not read.cancelled():
            read.exception()
