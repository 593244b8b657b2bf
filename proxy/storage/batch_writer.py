"""The queue of writes: it goes to the database in batches, and each item gets its answer.

An item is in the list before its caller waits for it. So a cancelled caller cannot lose it, and the
consequences of its commit run in its answer, on the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence

from proxy.storage.store import BatchItem, Content, Row, Statement, StorageFailed, Store, WriteOutcome

ITEMS_A_BATCH = 256
_GATHER_TURNS = 6
_GATHERED = 16
_TRIES = 20
_PAUSE_S = 0.05


class UnitWrite:
    """A unit in the store's list. `answered` is the future of its outcome: an exception is a result there."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self.answered: asyncio.Future[WriteOutcome] = asyncio.get_running_loop().create_future()

    def answer(self, content: Content, outcome: WriteOutcome) -> None:
        del content
        if not self.answered.done():
            self.answered.set_result(outcome)


async def write_unit(store: Store, statements: tuple[Statement, ...]) -> list[list[Row]]:
    """Submit a unit and wait for its commit. Returns the rows of each statement, or raises the refusal."""
    unit = UnitWrite(statements)
    store.submit(unit)
    outcome = await unit.answered
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


class BatchWriter:
    """Gathers items and hands one batch at a time to the database. Create and use it on the event loop.

    Items that arrive while a batch is written, and in the next few turns of the loop, form the next batch.
    The turns take no time on an idle loop; on a busy loop, commits become fewer and larger. `hand_over` gets
    the contents and returns at once; when they are written, the driver calls `answered`.
    """

    def __init__(self, hand_over: Callable[[list[Content]], None]) -> None:
        self._hand_over = hand_over
        self._loop = asyncio.get_running_loop()
        self._waiting: list[BatchItem] = []
        self._batch: list[tuple[BatchItem, Content]] = []
        self._is_busy = False
        self._drained: list[asyncio.Future[None]] = []

    def __len__(self) -> int:
        return len(self._waiting) + len(self._batch)

    def add(self, item: BatchItem) -> None:
        self._waiting.append(item)
        if not self._is_busy:
            self._is_busy = True
            self._loop.call_soon(self._gather, _GATHER_TURNS)

    def answered(self, outcomes: Sequence[WriteOutcome]) -> None:
        """Take the outcomes of the batch, in its order, and begin the next one."""
        batch, self._batch = self._batch, []
        self._is_busy = bool(self._waiting)
        if self._is_busy:
            # The next batch begins before the answers, so that the database works meanwhile.
            self._gather(_GATHER_TURNS)
        self._answer(zip(batch, outcomes, strict=True))
        if not self._is_busy and self._drained:
            self._tell_drained()

    def refuse_all(self, cause: BaseException | None) -> None:
        """Answer everything with StorageFailed, because the driver has stopped."""
        left = [*self._batch, *((item, item.content) for item in self._waiting)]
        self._batch, self._waiting, self._is_busy = [], [], False
        self._answer(iter([(pair, _stopped(cause)) for pair in left]))
        self._tell_drained()

    async def drain(self) -> None:
        """Wait until every item has its answer."""
        while self._is_busy:
            self._drained.append(drained := self._loop.create_future())
            await drained

    def _gather(self, turns: int) -> None:
        if turns > 0 and len(self._waiting) < _GATHERED:
            self._loop.call_soon(self._gather, turns - 1)
        else:
            self._begin_batch()

    def _begin_batch(self) -> None:
        taken, self._waiting = self._waiting[:ITEMS_A_BATCH], self._waiting[ITEMS_A_BATCH:]
        # The content is read here and never again: until now it may be replaced.
        contents = [item.content for item in taken]
        self._batch = [*zip(taken, contents, strict=True)]
        if contents:
            self._hand_over(contents)

    def _answer(self, answers: Iterator[tuple[tuple[BatchItem, Content], WriteOutcome]]) -> None:
        is_done = False
        try:
            for (item, content), outcome in answers:
                item.answer(content, outcome)
            is_done = True
        finally:
            if not is_done:
                # A fault in one answer must not prevent the other answers.
                self._loop.call_soon(self._answer, answers)

    def _tell_drained(self) -> None:
        drained, self._drained = self._drained, []
        for future in drained:
            if not future.done():
                future.set_result(None)


def _stopped(cause: BaseException | None) -> StorageFailed:
    failure = StorageFailed("the store stopped before this was known to be written")
    failure.__cause__ = cause
    return failure


class SharedRun:
    """One run at a time. Callers that arrive during a run share the next run. `work` is tried again a few
    times when it returns False."""

    def __init__(self, work: Callable[[], Awaitable[bool]]) -> None:
        self._work = work
        self._running: asyncio.Task[bool] | None = None
        self._next: asyncio.Task[bool] | None = None

    async def run(self) -> bool:
        """Return the result of a run that began after this call."""
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._running))
        return await asyncio.shield(self._next)

    async def _after(self, before: asyncio.Task[bool] | None) -> bool:
        if before is not None:
            await asyncio.wait([before])
        self._running, self._next = self._next, None
        return await self._try()

    async def _try(self) -> bool:
        for _ in range(_TRIES - 1):
            if await self._work():
                return True
            await asyncio.sleep(_PAUSE_S)
        return await self._work()
