"""Deadlines of writes, and the writes that missed theirs. Their callers got a failure, and they are tried
again.

Each write has its own id, so that it cannot be counted twice. Pending writes are in memory. If the process
ends before they are written, only the log has them: an event is logged when a write becomes pending.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import structlog

from proxy.storage.store import StorageFailed, StorageUnreachable, WriteOutcome
from proxy.telemetry.background import RepeatingTask
from proxy.telemetry.metrics import Metrics

WRITE_LIMIT_S = 6.0
"""The time for all tries of one caller. Clients give up at 10 s, and one try of a frozen database takes 5."""
RETRY_S = 0.5
MOST_PENDING = 10_000
"""The most pending writes. Further ones are lost: a full disk must not fill the memory, too."""

_CLOSING_S = 6.0

_log = structlog.get_logger()
Work = Callable[[], Awaitable[None]]
_now = time.monotonic
"""The clock that event loops use, without a look-up of the running loop."""


@asynccontextmanager
async def in_time(deadline: float) -> AsyncIterator[None]:
    """Raise StorageUnreachable at the deadline, a time of the event loop. The write may still be done."""
    try:
        async with asyncio.timeout_at(deadline):
            yield
    except TimeoutError:
        raise _too_late() from None


class WriteDeadlines:
    """The callers that wait for a commit, and the writes that the store has not answered yet.

    One timer serves all callers, because all may wait equally long. A timer for each would cost more.
    """

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        # The deadline and the future of each caller, the earliest deadline first.
        self._callers: deque[tuple[float, asyncio.Future[WriteOutcome]]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self.unanswered = 0
        self._all_answered: asyncio.Event | None = None

    def next_deadline(self) -> float:
        """Return the deadline of a caller that begins to wait now, as a time of the event loop."""
        return _now() + WRITE_LIMIT_S

    def add(self, caller: asyncio.Future[WriteOutcome]) -> float:
        """Answer the caller with StorageUnreachable at its deadline, unless it was answered before. Return
        the deadline, a time of the event loop."""
        deadline = _now() + WRITE_LIMIT_S
        while self._callers and self._callers[0][1].done():
            self._callers.popleft()
        self._callers.append((deadline, caller))
        if self._timer is None:
            self._timer = self.loop.call_at(deadline, self._fail_late)
        return deadline

    def count_answer(self) -> None:
        """Count an answer of the store to a write, which its submitter has counted in `unanswered`."""
        self.unanswered -= 1
        if not self.unanswered and self._all_answered is not None:
            self._all_answered.set()

    async def close(self) -> None:
        """Wait until the store has answered every write."""
        if self.unanswered:
            self._all_answered = asyncio.Event()
            await self._all_answered.wait()
        if self._timer is not None:
            self._timer.cancel()

    def _fail_late(self) -> None:
        now = self.loop.time()
        while self._callers and (self._callers[0][0] <= now or self._callers[0][1].done()):
            _, caller = self._callers.popleft()
            if not caller.done():
                caller.set_result(_too_late())
        self._timer = self.loop.call_at(self._callers[0][0], self._fail_late) if self._callers else None


def _too_late() -> StorageUnreachable:
    return StorageUnreachable(f"it was not written within {WRITE_LIMIT_S:g} s")


class PendingWrites:
    """Writes that are tried again. Create it in a running loop. `all_written` is set while there are none."""

    def __init__(self, metrics: Metrics) -> None:
        self.all_written = asyncio.Event()
        self.all_written.set()
        self._pending: dict[str, Work] = {}
        self._has_pending = asyncio.Event()
        self._retrying = RepeatingTask("arrears", self._turn, 0.0, metrics)

    def add(self, name: str, work: Work) -> bool:
        """Add a write, which must do no harm if it is done twice. It replaces a write of the same name.
        Return False if there are too many."""
        if len(self._pending) >= MOST_PENDING and name not in self._pending:
            return False
        self._pending[name] = work
        self.all_written.clear()
        self._has_pending.set()
        return True

    async def close(self) -> None:
        await self._retrying.aclose()
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING_S):
                while self._pending and await self._write_all():
                    pass
        if self._pending:
            _log.error("arrears.write.failed", left=len(self._pending))

    async def _turn(self) -> None:
        await self._has_pending.wait()
        if not await self._write_all():
            await asyncio.sleep(RETRY_S)

    async def _write_all(self) -> bool:
        """Try each write once, up to the first that the database refuses. Return False if one was refused.

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
