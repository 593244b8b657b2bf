"""A real store on a bad line: what is asked of it may never arrive, and what it answers may get lost."""

from __future__ import annotations

import asyncio
from typing import Literal

from proxy.storage.store import (
    AlreadyExists,
    Params,
    Row,
    Statement,
    StorageFailed,
    StorageUnreachable,
    Store,
)

Fate = Literal[
    "goes well", "never sent", "answer lost", "answer late", "sent late", "held back", "breaks", "refused"
]


class LossyStore:
    """`fates` are those of the next writes, in order; the others go well."""

    def __init__(self, store: Store) -> None:
        self.is_shared = store.is_shared
        self.fates: list[Fate] = []
        self.writes = 0
        self.was_asked = asyncio.Event()
        self.may_write = asyncio.Event()
        self.was_written = asyncio.Event()
        self.may_answer = asyncio.Event()
        self._store = store
        self._on_its_way: list[tuple[Statement, ...]] = []

    async def now(self) -> int:
        return await self._store.now()

    async def read(self, sql: str, params: Params | None = None) -> list[Row]:
        return await self._store.read(sql, params)

    async def read_long(self, sql: str, params: Params | None = None) -> list[Row]:
        return await self._store.read_long(sql, params)

    async def write(self, *statements: Statement) -> list[list[Row]]:
        self.writes += 1
        fate = self.fates.pop(0) if self.fates else "goes well"
        if fate == "goes well":
            return await self._store.write(*statements)
        if fate == "breaks":
            raise ZeroDivisionError("a fault of ours")
        if fate == "refused":
            raise StorageFailed("the disk is full, says the test")
        if fate == "held back":
            self.was_asked.set()
            await self.may_write.wait()
            return await self._answer_late(*statements)
        if fate == "answer late":
            return await self._answer_late(*statements)
        if fate == "sent late":
            self._on_its_way.append(statements)
        if fate == "answer lost":
            try:
                await self._store.write(*statements)
            except AlreadyExists:
                pass
        raise StorageUnreachable("lost by the test")

    async def arrive(self) -> None:
        """What was sent late is carried out, and nobody waits for it any more."""
        for statements in self._on_its_way:
            await self._store.write(*statements)
        self._on_its_way.clear()

    async def close(self) -> None:
        await self._store.close()

    async def _answer_late(self, *statements: Statement) -> list[list[Row]]:
        rows = await self._store.write(*statements)
        self.was_written.set()
        await self.may_answer.wait()
        return rows
