"""The queue of writes. Items go to the database in batches, and each item is answered with its outcome.

An item is in the queue before its caller waits for it. So it is written even if the caller is cancelled, and
its method `answer` runs on the event loop after the commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence

from proxy.storage.store import BatchItem, Content, Row, Statement, StorageFailed, Store, WriteOutcome

ITEMS_A_BATCH = 256
_GATHER_TURNS = 6
"""The turns of the event loop for which a batch waits for more items, unless it has _GATHERED_ITEMS
before."""
_GATHERED_ITEMS = 16
_TRIES = 20
_PAUSE_S = 0.05


class UnitWrite:
    """A unit of statements in the queue. The future `outcome` gets its rows or its refusal."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self.outcome: asyncio.Future[WriteOutcome] = asyncio.get_running_loop().create_future()

    def answer(self, content: Content, outcome: WriteOutcome) -> None:
        del content
        if not self.outcome.done():
            self.outcome.set_result(outcome)


async def write_unit(store: Store, statements: tuple[Statement, ...]) -> list[list[Row]]:
    """Submit a unit and wait for its commit. Return the rows of each statement. Raise the refusal."""
    unit = UnitWrite(statements)
    store.submit(unit)
    outcome = await unit.outcome
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


class BatchWriter:
    """Gathers items, and gives one batch at a time to the database. Create and use it on the event loop.

    The next batch has the items that arrive while a batch is written, and in a few turns of the loop after
    it. The turns take no time on an idle loop. On a busy loop, they make commits fewer and larger. The
    driver's function `hand_over` takes the contents and returns at once. After the commit the driver calls
    `answer_batch`.
    """

    def __init__(self, hand_over: Callable[[list[Content]], None]) -> None:
        self._hand_over = hand_over
        self._loop = asyncio.get_running_loop()
        self._waiting: list[BatchItem] = []
        self._batch: list[tuple[BatchItem, Content]] = []
        self._is_busy = False
        """Whether a batch is gathered or written."""
        self._drain_waiters: list[asyncio.Future[None]] = []

    def __len__(self) -> int:
        return len(self._waiting) + len(self._batch)

    def add(self, item: BatchItem) -> None:
        self._waiting.append(item)
        if not self._is_busy:
            self._is_busy = True
            self._loop.call_soon(self._gather, _GATHER_TURNS)

    def answer_batch(self, outcomes: Sequence[WriteOutcome]) -> None:
        """The driver calls this after each batch. The outcomes are in the order of the batch."""
        batch, self._batch = self._batch, []
        self._is_busy = bool(self._waiting)
        if self._is_busy:
            # The next batch begins first, so that the database works while the items are answered.
            self._gather(_GATHER_TURNS)
        self._answer_items(zip(batch, outcomes, strict=True))
        if not self._is_busy and self._drain_waiters:
            self._end_drains()

    def refuse_all(self, cause: BaseException | None) -> None:
        """Answer all items with StorageFailed, because the driver has stopped."""
        unanswered = [*self._batch, *((item, item.content) for item in self._waiting)]
        self._batch, self._waiting, self._is_busy = [], [], False
        self._answer_items(iter([(pair, _stopped_failure(cause)) for pair in unanswered]))
        self._end_drains()

    async def drain(self) -> None:
        """Wait until every item has its answer."""
        while self._is_busy:
            drained = self._loop.create_future()
            self._drain_waiters.append(drained)
            await drained

    def _gather(self, turns_left: int) -> None:
        if turns_left > 0 and len(self._waiting) < _GATHERED_ITEMS:
            self._loop.call_soon(self._gather, turns_left - 1)
            return
        items, self._waiting = self._waiting[:ITEMS_A_BATCH], self._waiting[ITEMS_A_BATCH:]
        # An item may replace its content until this line reads it.
        contents = [item.content for item in items]
        self._batch = [*zip(items, contents, strict=True)]
        if contents:
            self._hand_over(contents)

    def _answer_items(self, answers: Iterator[tuple[tuple[BatchItem, Content], WriteOutcome]]) -> None:
        are_all_answered = False
        try:
            for (item, content), outcome in answers:
                item.answer(content, outcome)
            are_all_answered = True
        finally:
            if not are_all_answered:
                # If an item raises, the items after it are still answered.
                self._loop.call_soon(self._answer_items, answers)

    def _end_drains(self) -> None:
        drained, self._drain_waiters = self._drain_waiters, []
        for future in drained:
            if not future.done():
                future.set_result(None)


def _stopped_failure(cause: BaseException | None) -> StorageFailed:
    failure = StorageFailed("the store stopped before this was known to be written")
    failure.__cause__ = cause
    return failure


class SharedRun:
    """Runs `work` once at a time. Callers that arrive during a run share the next run.

    If `work` returns False, the run repeats it after a pause, up to _TRIES times.
    """

    def __init__(self, work: Callable[[], Awaitable[bool]]) -> None:
        self._work = work
        self._running: asyncio.Task[bool] | None = None
        self._next: asyncio.Task[bool] | None = None

    async def run(self) -> bool:
        """Return the result of a run that began after this call."""
        if self._next is None:
            self._next = asyncio.create_task(self._run_after(self._running))
        return await asyncio.shield(self._next)

    async def _run_after(self, previous: asyncio.Task[bool] | None) -> bool:
        if previous is not None:
            await asyncio.wait([previous])
        self._running, self._next = self._next, None
        for _ in range(_TRIES - 1):
            if await self._work():
                return True
            await asyncio.sleep(_PAUSE_S)
        return await self._work()
