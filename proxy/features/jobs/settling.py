"""The commit of a step's sound and charge, which no cancellation and no doubt breaks off."""

from __future__ import annotations

import asyncio

from proxy.speech.answer import Answer
from proxy.storage.store import StorageUnreachable
from speech_engine.host.engine_stream import run_to_end

_TRIES = 6


async def settle_to_the_end(answer: Answer) -> None:
    """Settle, also if this call is cancelled, and raise what that raises."""
    task = asyncio.create_task(_settle(answer))
    try:
        await run_to_end(_ended(task))
    finally:
        failure = task.exception()
    if failure is not None:
        raise failure


async def _settle(answer: Answer) -> None:
    """Settle until it is known. No client waits, and a settlement in doubt would be given back."""
    for tries_left in reversed(range(_TRIES)):
        try:
            await answer.settle()
            return
        except StorageUnreachable:
            if not tries_left:
                raise


async def _ended(task: asyncio.Task[None]) -> None:
    await asyncio.wait({task})
