"""Who may use a slot next: a bounded queue, fair between tenants, owned by the host.

Tenants take turns, whatever the length of their lines. When the queue is full, the tenant with the
longest line loses its newest waiter, so that one account's flood cannot shut the others out.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from speech_engine.errors import EngineBusy, EngineTimeout

_Line = deque["asyncio.Future[None]"]


class FairQueue:
    def __init__(self, slots: int, limit: int) -> None:
        self.slots = slots
        self.limit = limit
        self.running = 0
        self._lines: OrderedDict[str, _Line] = OrderedDict()

    def __repr__(self) -> str:
        return f"<FairQueue {self.running} of {self.slots} running, {self.waiting} waiting>"

    @property
    def waiting(self) -> int:
        return sum(len(line) for line in self._lines.values())

    @asynccontextmanager
    async def turn(self, tenant: str, deadline_s: float) -> AsyncIterator[None]:
        """Holds one slot; EngineBusy where there is no room to wait, EngineTimeout past the deadline."""
        if self.running < self.slots and not self._lines:
            self.running += 1
        else:
            await self._wait(tenant, deadline_s)
        try:
            yield
        finally:
            self.running -= 1
            self._let_in()

    async def _wait(self, tenant: str, deadline_s: float) -> None:
        if self.waiting >= self.limit:
            self._make_room(tenant)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lines.setdefault(tenant, deque()).append(turn)
        try:
            async with asyncio.timeout(deadline_s):
                await turn
        except BaseException as error:
            self._leave(tenant, turn)
            if isinstance(error, TimeoutError):
                raise EngineTimeout("No slot became free in time.") from None
            raise

    def _make_room(self, tenant: str) -> None:
        longest, line = max(self._lines.items(), key=lambda item: len(item[1]), default=(tenant, deque()))
        if len(line) <= len(self._lines.get(tenant, ())) + 1:
            raise EngineBusy("The queue is full.", retry_after_s=1.0)
        newest = line.pop()
        # One cancelled in this very step is done already and only has not left yet.
        if not newest.done():
            newest.set_exception(EngineBusy("The queue is full.", retry_after_s=1.0))
        if not line:
            del self._lines[longest]

    def _leave(self, tenant: str, turn: asyncio.Future[None]) -> None:
        if turn.done() and not turn.cancelled() and turn.exception() is None:
            # Cancelled in the moment the slot was handed over: pass it on.
            self.running -= 1
            self._let_in()
            return
        line = self._lines.get(tenant)
        if line is not None and turn in line:
            line.remove(turn)
            if not line:
                del self._lines[tenant]

    def _let_in(self) -> None:
        while self.running < self.slots and self._lines:
            tenant, line = self._lines.popitem(last=False)
            turn = line.popleft()
            if line:
                self._lines[tenant] = line
            if not turn.done():
                self.running += 1
                turn.set_result(None)
