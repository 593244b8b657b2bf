"""A real store on a bad line: what is asked of it may never arrive, and what it answers may get lost."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Literal

from proxy.storage.batch_writer import UnitWrite, write_unit
from proxy.storage.store import (
    BatchItem,
    Content,
    Params,
    Row,
    Statement,
    StorageFailed,
    StorageUnreachable,
    Store,
    WriteOutcome,
)

Fate = Literal[
    "goes well",
    "never sent",
    "answer lost",
    "answer late",
    "lost late",
    "sent late",
    "held back",
    "breaks",
    "refused",
]


class LossyStore:
    """`fates` are those of the next writes, in order; the others go well."""

    def __init__(self, store: Store) -> None:
        self.is_shared, self.tables = store.is_shared, store.tables
        self.fates: list[Fate] = []
        self.writes = 0
        self.was_asked = asyncio.Event()
        self.may_write = asyncio.Event()
        self.was_written = asyncio.Event()
        self.may_answer = asyncio.Event()
        self._store = store
        self._on_its_way: list[Content] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def now(self) -> int:
        return await self._store.now()

    def watch_commits(self, on_commit: Callable[[float], None]) -> None:
        self._store.watch_commits(on_commit)

    async def find_damage(self) -> str:
        return await self._store.find_damage()

    async def forget_deleted(self) -> bool:
        return await self._store.forget_deleted()

    async def read(self, sql: str, params: Params | None = None) -> list[Row]:
        return await self._store.read(sql, params)

    async def read_long(self, sql: str, params: Params | None = None) -> list[Row]:
        return await self._store.read_long(sql, params)

    async def write(self, *statements: Statement) -> list[list[Row]]:
        return await write_unit(self, statements)

    def submit(self, item: BatchItem) -> None:
        self.writes += 1
        fate = self.fates.pop(0) if self.fates else "goes well"
        match fate:
            case "goes well":
                self._store.submit(item)
            case "breaks":
                raise ZeroDivisionError("a fault of ours")
            case "refused":
                self._refuse(item, StorageFailed("the disk is full, says the test"))
            case "held back":
                self.was_asked.set()
                self._later(self._submit_late(item))
            case "answer late":
                self._store.submit(Intercepted(item, partial(self._answer_late, item)))
            case "lost late":
                lose = partial(self._answer_late, item, outcome=_lost())
                self._store.submit(Intercepted(item, lambda content, _: lose(content)))
            case "answer lost":
                self._store.submit(Intercepted(item, lambda content, _: item.answer(content, _lost())))
            case "sent late":
                self._on_its_way.append(item.content)
                self._refuse(item, _lost())
            case "never sent":
                self._refuse(item, _lost())

    async def arrive(self) -> None:
        """What was sent late is carried out, and nobody waits for it any more."""
        for content in self._on_its_way:
            unit = UnitWrite(content)
            self._store.submit(unit)
            assert isinstance(await unit.outcome, list)
        self._on_its_way.clear()

    async def close(self) -> None:
        await self._store.close()

    def _refuse(self, item: BatchItem, refusal: StorageFailed) -> None:
        asyncio.get_running_loop().call_soon(item.answer, item.content, refusal)

    async def _submit_late(self, item: BatchItem) -> None:
        await self.may_write.wait()
        self._store.submit(Intercepted(item, partial(self._answer_late, item)))

    def _answer_late(self, item: BatchItem, content: Content, outcome: WriteOutcome) -> None:
        self.was_written.set()

        async def answer() -> None:
            await self.may_answer.wait()
            item.answer(content, outcome)

        self._later(answer())

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Intercepted:
    """An item on its way through the test, which hears the answer in its place."""

    def __init__(self, item: BatchItem, answer: Callable[[Content, WriteOutcome], None]) -> None:
        self._item = item
        self._answer = answer

    @property
    def content(self) -> Content:
        return self._item.content

    def answer(self, content: Content, outcome: WriteOutcome) -> None:
        self._answer(content, outcome)


def _lost() -> StorageUnreachable:
    return StorageUnreachable("lost by the test")
