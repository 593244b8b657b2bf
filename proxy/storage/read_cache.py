"""A cache for some seconds of values from the database, which are read once for all callers.

It is for values that another worker may change at any time: keys, libraries of accounts, sums of costs.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

MOST_TOGETHER = 256
"""The most values of one read. More would block the event loop for too long."""

_MOST_PAUSE_S, _PAUSE_FACTOR = 0.01, 4
"""After a read of unknown keys, a pause is four times as long as the read, but 10 ms at most."""
_MOST_UNUSED = 10
"""How often a value is read again with others while no caller uses it. Then it is left to expire."""


class _Entry(Generic[V]):
    """A value, which is valid until `until`. After `due` it is read again along with others.

    `unused` counts the reads since its last use.
    """

    __slots__ = ("due", "until", "unused", "value", "weight")

    def __init__(self, value: V, began_at: float, ttl_s: float, weight: float, unused: int) -> None:
        self.value = value
        self.until = began_at + ttl_s
        self.due = began_at + ttl_s / 2
        self.weight = weight
        self.unused = unused


class ReadCache(Generic[K, V]):
    """A cache that reads the values it does not have. Only one event loop may use it.

    `read` gets the keys of the values to read. When a value has to be read again, the same read renews other
    values, up to `most_together`: those that have lived half of their time and were used within the last
    reads. So a thousand values in use cost a few reads, and not a thousand. `read` returns a value for the
    first key. It may leave out others, which are then read alone.

    `ttl_s` returns how long a value is cached, counted from the start of its read. If it is 0 or less, only
    the callers that wait get the value. `max_weight` limits the weights of all values together; without
    `weight` each value counts 1. The least recently used values are dropped first. A value that is heavier
    than `max_weight` is cached alone. `clock` returns seconds and never goes back.

    With `gathers_unknown`, keys that are not cached are read together: two such reads at a time, each with a
    pause after it. So clients that send invented keys cause few reads, and no valid key is refused.
    """

    def __init__(
        self,
        read: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]],
        ttl_s: Callable[[V], float],
        *,
        max_weight: float,
        weight: Callable[[V], float] = lambda _value: 1,
        most_together: int = 1,
        gathers_unknown: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_weight = max_weight
        self._read = read
        self._ttl_s = ttl_s
        self._weigh = weight
        self._most_together = most_together
        self._gathers_unknown = gathers_unknown
        # The keys of the next read of unknown keys, with its task, and the limit of such reads.
        self._next: tuple[list[K], asyncio.Task[Mapping[K, V]]] | None = None
        self._unknown_turns = asyncio.Semaphore(2)
        self._clock = clock
        # The least recently used entry is first. `_keys_by_age` has the keys in the order of their reads.
        self._entries: OrderedDict[K, _Entry[V]] = OrderedDict()
        self._keys_by_age: dict[K, None] = {}
        self._weight = 0.0
        self._reads: dict[K, asyncio.Task[Mapping[K, V]]] = {}
        # The event loop itself would drop a read that has no waiter any more.
        self._running_reads: set[asyncio.Task[Mapping[K, V]]] = set()

    def __repr__(self) -> str:
        return f"<ReadCache {len(self._entries)} cached, {len(self._running_reads)} being read>"

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def weight(self) -> float:
        return self._weight

    async def get(self, key: K) -> V:
        """Return the value. If it is not cached, read it now. No failure is cached."""
        entry = self._entries.get(key)
        if entry is not None and self._clock() < entry.until:
            self._entries.move_to_end(key)
            entry.unused = 0
            return entry.value
        # The read is shielded, because the first caller may leave while others wait for the value.
        joined = self._reads.get(key)
        if joined is not None and key in (values := await asyncio.shield(joined)):
            return values[key]
        read = self._reads.get(key)
        if read is None or read is joined:
            read = self._begin_unknown(key) if entry is None else self._begin((key, *self._due_beside(key)))
        return (await asyncio.shield(read))[key]

    def cached(self, key: K) -> V | None:
        """Return the value if it is still cached, without a read."""
        entry = self._entries.get(key)
        return entry.value if entry is not None and self._clock() < entry.until else None

    def last_known(self, key: K) -> V | None:
        """Return the value of the last read, however old, if it is still in memory."""
        entry = self._entries.get(key)
        return None if entry is None else entry.value

    def forget(self, key: K) -> None:
        """Drop a value. A running read may be older than the change: its value is not cached, and no new
        caller waits for it."""
        self._drop(key)
        self._reads.pop(key, None)

    def forget_if(self, concerns: Callable[[V], bool]) -> None:
        """Drop the values that a change concerns. Running reads may be older than the change: none of their
        values is cached, and no new caller waits for them."""
        self._reads.clear()
        for key in [key for key, entry in self._entries.items() if concerns(entry.value)]:
            self._drop(key)

    def _begin_unknown(self, key: K) -> asyncio.Task[Mapping[K, V]]:
        """Begin to read an unknown key. No known key is read with it, since any client may send it."""
        if not self._gathers_unknown:
            return self._begin((key,))
        if self._next is None or len(self._next[0]) >= self._most_together:
            keys = [key]
            self._next = keys, self._begin(keys, are_unknown=True)
        else:
            self._next[0].append(key)
        self._reads[key] = self._next[1]
        return self._reads[key]

    async def _read_unknown(self, keys: Sequence[K]) -> Mapping[K, V]:
        await self._unknown_turns.acquire()
        if self._next is not None and self._next[0] is keys:
            self._next = None
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        try:
            return await self._read_and_cache(keys)
        finally:
            pause_s = min(_MOST_PAUSE_S, _PAUSE_FACTOR * (loop.time() - began_at))
            loop.call_later(pause_s, self._unknown_turns.release)

    def _begin(self, keys: Sequence[K], *, are_unknown: bool = False) -> asyncio.Task[Mapping[K, V]]:
        reading = self._read_unknown(keys) if are_unknown else self._read_and_cache(keys)
        read = asyncio.create_task(reading)
        self._reads.update(dict.fromkeys(keys, read))
        self._running_reads.add(read)
        read.add_done_callback(lambda done: self._end(keys, done))
        return read

    def _due_beside(self, key: K) -> list[K]:
        now, found = self._clock(), list[K]()
        self._keys_by_age.pop(key, None)
        while self._keys_by_age and len(found) < self._most_together - 1:
            oldest = next(iter(self._keys_by_age))
            entry = self._entries[oldest]
            if now < entry.due:
                break
            # An unused value is read again for its next caller.
            del self._keys_by_age[oldest]
            if entry.unused < _MOST_UNUSED and oldest not in self._reads:
                found.append(oldest)
        return found

    async def _read_and_cache(self, keys: Sequence[K]) -> Mapping[K, V]:
        # The age counts from before the read, because the values may have changed during it.
        began_at = self._clock()
        values = await self._read(keys)
        for key in keys:
            # A key that was forgotten meanwhile has another read, or none.
            if key in values and self._reads.get(key) is asyncio.current_task():
                self._cache(key, values[key], began_at, is_wanted=key == keys[0])
        return values

    def _cache(self, key: K, value: V, began_at: float, *, is_wanted: bool) -> None:
        before = self._entries.get(key)
        unused = 0 if is_wanted or before is None else before.unused + 1
        self._drop(key)
        ttl_s = self._ttl_s(value)
        if ttl_s <= 0:
            return
        entry = _Entry(value, began_at, ttl_s, min(self._weigh(value), self.max_weight), unused)
        while self._entries and self._weight + entry.weight > self.max_weight:
            self._drop(next(iter(self._entries)))
        self._entries[key] = entry
        self._keys_by_age[key] = None
        self._weight += entry.weight

    def _drop(self, key: K) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._weight -= entry.weight
            self._keys_by_age.pop(key, None)

    def _end(self, keys: Sequence[K], read: asyncio.Task[Mapping[K, V]]) -> None:
        self._running_reads.discard(read)
        for key in keys:
            if self._reads.get(key) is read:
                del self._reads[key]
        # asyncio would report a failure that nothing reads, so it is read here.
        if not read.cancelled():
            read.exception()


def read_singly(read: Callable[[K], Awaitable[V]]) -> Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]:
    """Return a `read` for a cache whose keys are read one at a time."""

    async def read_one(keys: Sequence[K]) -> Mapping[K, V]:
        (key,) = keys
        return {key: await read(key)}

    return read_one
