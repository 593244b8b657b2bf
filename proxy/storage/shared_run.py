"""Work that many callers need at the same time, and that is done once for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

_TRIES = 20
_PAUSE_S = 0.05


class SharedRun:
    """One run at a time. Those that come while one goes on share the next, which sees what was done before.
    `work` is tried again a few times when it returns False.
    """

    def __init__(self, work: Callable[[], Awaitable[bool]]) -> None:
        self._work = work
        self._running: asyncio.Task[bool] | None = None
        self._next: asyncio.Task[bool] | None = None

    async def run(self) -> bool:
        """Return whether a run that began after this call has done it."""
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
