"""What could not be written in its time: tried again without anybody waiting, until the database takes it.

It is in memory. What is still owed when the process ends is in the log, by the event that it began with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from proxy.storage.store import StorageFailed
from proxy.telemetry import RepeatingTask, Watch

AGAIN_S = 0.5
MOST = 10_000
"""What is owed beyond that is lost: a disk that stays full must not fill the memory as well."""

_CLOSING_S = 6.0

_log = structlog.get_logger()
Work = Callable[[], Awaitable[None]]


class PendingWrites:
    """Make it in a running loop. `are_clear` is set while nothing is owed."""

    def __init__(self, watch: Watch) -> None:
        self.are_clear = asyncio.Event()
        self.are_clear.set()
        self._owed: dict[str, Work] = {}
        self._is_owing = asyncio.Event()
        self._paying = RepeatingTask("arrears", self._turn, 0.0, watch)

    def __repr__(self) -> str:
        return f"<PendingWrites of {len(self._owed)}>"

    def owe(self, name: str, work: Work) -> bool:
        """Whether it will be tried; what has the same name is in its place. It may be done more than once."""
        if len(self._owed) >= MOST and name not in self._owed:
            return False
        self._owed[name] = work
        self.are_clear.clear()
        self._is_owing.set()
        return True

    async def close(self) -> None:
        """One more try of everything, as long as the database takes it."""
        await self._paying.close()
        try:
            async with asyncio.timeout(_CLOSING_S):
                while self._owed and await self._pay():
                    pass
        except TimeoutError:
            pass
        if self._owed:
            _log.error("arrears.write.failed", left=len(self._owed))

    async def _turn(self) -> None:
        await self._is_owing.wait()
        if not await self._pay():
            await asyncio.sleep(AGAIN_S)

    async def _pay(self) -> bool:
        """Everything once, up to the first that the database refuses, which is the last one next time: it may
        be away, or the fault be that one's own. False where there was one."""
        for name in list(self._owed):
            work = self._owed.pop(name)
            try:
                await work()
            except (StorageFailed, asyncio.CancelledError) as error:
                self._owed.setdefault(name, work)
                if isinstance(error, asyncio.CancelledError):
                    raise
                return False
        if not self._owed:
            self._is_owing.clear()
            self.are_clear.set()
        return True
