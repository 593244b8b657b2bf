"""Writes that the database did not take: tries for a caller under one deadline, and later tries without one.

What is tried again has an id of its own, so that it cannot be counted twice. Pending writes are in memory.
When the process ends before they are written, the log has the event that each of them began with.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

from proxy.storage.store import StorageFailed, StorageUnreachable
from proxy.telemetry import Metrics, RepeatingTask

WITHIN_S = 6.0
"""The time for all tries of one caller. Clients give up at 10 s, and one try of a frozen database takes 5."""

_TRIES = 3
AGAIN_S = 0.5
MOST = 10_000
"""The most writes to keep. Others are lost: a disk that stays full must not fill the memory as well."""

_CLOSING_S = 6.0

_log = structlog.get_logger()
Work = Callable[[], Awaitable[None]]


@asynccontextmanager
async def in_time() -> AsyncIterator[None]:
    """Raise StorageUnreachable when the time is up. The write may still be done."""
    try:
        async with asyncio.timeout(WITHIN_S):
            yield
    except TimeoutError:
        raise StorageUnreachable(f"it was not written within {WITHIN_S:g} s") from None


async def write_with_retries(write: Callable[[], Awaitable[None]]) -> None:
    """Try a write until it is done or refused. Raises what the last try raised."""
    for _ in range(_TRIES - 1):
        try:
            return await write()
        except StorageUnreachable:
            continue
    return await write()


class PendingWrites:
    """Writes to be tried again. Create it in a running loop. `all_written` is set while none is left."""

    def __init__(self, metrics: Metrics) -> None:
        self.all_written = asyncio.Event()
        self.all_written.set()
        self._pending: dict[str, Work] = {}
        self._has_pending = asyncio.Event()
        self._retrying = RepeatingTask("arrears", self._turn, 0.0, metrics)

    def __repr__(self) -> str:
        return f"<PendingWrites of {len(self._pending)}>"

    def add(self, name: str, work: Work) -> bool:
        """Tell whether the write will be tried. It replaces one of the same name, and may be done twice."""
        if len(self._pending) >= MOST and name not in self._pending:
            return False
        self._pending[name] = work
        self.all_written.clear()
        self._has_pending.set()
        return True

    async def close(self) -> None:
        """Try everything once more, as long as the database takes it."""
        await self._retrying.close()
        try:
            async with asyncio.timeout(_CLOSING_S):
                while self._pending and await self._write_all():
                    pass
        except TimeoutError:
            pass
        if self._pending:
            _log.error("arrears.write.failed", left=len(self._pending))

    async def _turn(self) -> None:
        await self._has_pending.wait()
        if not await self._write_all():
            await asyncio.sleep(AGAIN_S)

    async def _write_all(self) -> bool:
        """Try each write once, up to the first that the database refuses. False means that there was one.

        The refused write comes last next time: the database may be away, or the fault may be in the write.
        """
        for name in list(self._pending):
            work = self._pending.pop(name)
            try:
                await work()
            except (StorageFailed, asyncio.CancelledError) as error:
                self._pending.setdefault(name, work)
                if isinstance(error, asyncio.CancelledError):
                    raise
                return False
        if not self._pending:
            self._has_pending.clear()
            self.all_written.set()
        return True
