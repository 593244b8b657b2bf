"""Work that a cancellation must not interrupt, such as the commit of a step's sound and charge."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from proxy.storage.store import until_written
from speech_engine.host.engine_stream import run_to_end

T = TypeVar("T")
_TRIES = 6


async def settle_uncancelled(settle: Callable[[], Awaitable[None]]) -> None:
    """Settle even if this call is cancelled: the price of an interrupted settlement would be refunded."""
    await run_uncancelled(until_written(settle, _TRIES))


async def run_uncancelled(work: Coroutine[Any, Any, T]) -> T:
    """Run the work to its end even if this call is cancelled. The cancellation is raised afterwards."""
    task = asyncio.create_task(work)
    try:
        await run_to_end(_wait_for(task))
    finally:
        task.exception()  # it is raised below, unless this call is cancelled
    return task.result()


async def _wait_for(task: asyncio.Task[Any]) -> None:
    await asyncio.wait({task})
