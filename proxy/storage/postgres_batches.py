"""Batches on PostgreSQL: what has gathered goes in one round trip, and a bad item fails alone.

A batch is one statement, so it is written whole or not at all. When the database refuses it, each item is
tried alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from proxy.storage.batch_writer import BatchWriter
from proxy.storage.store import (
    AlreadyExists,
    Content,
    MissingReference,
    Refusal,
    Row,
    StorageFailed,
    StorageUnreachable,
    WriteOutcome,
)

REFUSALS = (AlreadyExists, MissingReference, StorageFailed)

Write = Callable[[Sequence[Content]], Awaitable[list[list[list[Row]]]]]
"""Writes contents of one kind in one round trip, and gives the rows of each. Raises one of REFUSALS."""


class PostgresBatches:
    """The batches of one kind of content. Put items into `writer`."""

    def __init__(self, write: Write) -> None:
        self.writer = BatchWriter(self._begin)
        self._write = write
        self._task: asyncio.Task[None] | None = None

    def _begin(self, contents: list[Content]) -> None:
        # Kept here, because the event loop forgets a task that nothing holds.
        self._task = asyncio.create_task(self._carry_out(contents))

    async def _carry_out(self, contents: list[Content]) -> None:
        outcomes: list[WriteOutcome] = [_stopped() for _ in contents]
        try:
            outcomes = await self._outcomes(contents)
        finally:
            # By the loop, which reports a fault in an answer at once.
            asyncio.get_running_loop().call_soon(self.writer.answered, outcomes)

    async def _outcomes(self, contents: Sequence[Content]) -> list[WriteOutcome]:
        try:
            return [*await self._write(contents)]
        except REFUSALS as refused:
            refusal: Refusal = refused
        if len(contents) == 1 or isinstance(refusal, StorageUnreachable):
            return [_copy(refusal) for _ in contents]
        outcomes: list[WriteOutcome] = []
        for content in contents:
            if outcomes and isinstance(outcomes[-1], StorageUnreachable):
                # It went away meanwhile: the other items do not wait for it again.
                outcomes.append(_copy(outcomes[-1]))
            else:
                outcomes += await self._outcomes([content])
        return outcomes


def _copy(refusal: Refusal) -> Refusal:
    """Make an exception for each caller, since raising one adds to its traceback."""
    return type(refusal)(*refusal.args)


def _stopped() -> StorageFailed:
    return StorageFailed("the store stopped before this was known to be written")
