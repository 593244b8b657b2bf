"""A store a test can look into: a real one, with the test's clock and a hand on its answers."""

import asyncio
from collections.abc import Callable

from proxy.storage.store import BatchItem, Params, Row, Statement, StorageFailed, Store

_SECOND = 1_000_000


class WatchedStore:
    """A real store that counts its reads, lets the test hold or break them, and keeps the test's time."""

    def __init__(self, store: Store, start: int) -> None:
        self.reads = 0
        self.long_reads = 0
        self.seconds = 0.0
        self.is_broken = False
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.was_asked = asyncio.Event()
        self.is_shared, self.tables = store.is_shared, store.tables
        self._store = store
        self._start = start

    def monotonic(self) -> float:
        return self.seconds

    async def now(self) -> int:
        return self._start + int(self.seconds * _SECOND)

    async def read(self, sql: str, params: Params | None = None) -> list[Row]:
        self.reads += 1
        rows = await self._store.read(sql, params)
        self.was_asked.set()
        await self.may_answer.wait()
        if self.is_broken:
            raise StorageFailed("broken by the test")
        return rows

    async def read_long(self, sql: str, params: Params | None = None) -> list[Row]:
        self.long_reads += 1
        return await self._store.read_long(sql, params)

    async def write(self, *statements: Statement) -> list[list[Row]]:
        return await self._store.write(*statements)

    def submit(self, item: BatchItem) -> None:
        self._store.submit(item)

    def watch_commits(self, on_commit: Callable[[float], None]) -> None:
        self._store.watch_commits(on_commit)

    async def find_damage(self) -> str:
        return await self._store.find_damage()

    async def forget_deleted(self) -> bool:
        return await self._store.forget_deleted()

    async def close(self) -> None:
        await self._store.close()
