"""An event loop whose clock jumps to the next timer instead of waiting: hours pass in no time, exactly.

It jumps only when nothing else can happen. While a thread works for the loop, the clock stands still. A test
with an open socket fails, as the loop cannot tell what is on its way there.
"""

import asyncio
import functools
import selectors
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ParamSpec

import aiosqlite
import pytest

from proxy.storage import sqlite
from tests.leaks import leaving_nothing

_REAL = time.monotonic
_THREAD_S = 60.0
"""A thread that takes longer hangs."""
_MOST_JUMPS = 300_000
_STARTED_S = 4096.0
"""A server starts long after its machine, so what has never happened is long ago."""
P = ParamSpec("P")


class _Jumping(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.jumps = self.threads = 0
        """How many calls of threads the loop waits for."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if (ready := super().select(0)) or (timeout is not None and timeout <= 0):
            return ready
        if self.threads:
            ready = super().select(_THREAD_S)
            assert ready, "a thread does not end"
            return ready
        assert timeout is not None, "everything waits, and for nothing that a clock could bring"
        self.now += timeout
        self.jumps += 1
        assert self.jumps < _MOST_JUMPS, "it waits for ever, while something else goes on"
        return ready

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        # The loop itself listens on one socket, for its threads.
        assert not self.get_map(), "it opens a socket or a process: this test needs the marker `clock`"
        return super().register(fileobj, events, data)

    def counted(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
        @functools.wraps(call)
        async def wait(*args: Any, **more: Any) -> Any:
            self.threads += 1
            try:
                return await call(*args, **more)
            finally:
                self.threads -= 1

        return wait


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.jumping = _Jumping()
        super().__init__(self.jumping)

    def time(self) -> float:
        return self.jumping.now

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        future = super().run_in_executor(executor, func, *args)
        self.jumping.threads += 1
        future.add_done_callback(self._uncount)
        return future

    async def shutdown_default_executor(self) -> None:
        await self.jumping.counted(super().shutdown_default_executor)()

    def _uncount(self, _future: asyncio.Future[Any]) -> None:
        self.jumping.threads -= 1


def run(play: Coroutine[Any, Any, None], start_s: float = 0.0) -> None:
    """Run it by this clock, which is the only one: `time.monotonic` is that of every event loop."""
    with asyncio.Runner(loop_factory=_Loop) as runner, pytest.MonkeyPatch.context() as patch:
        loop = runner.get_loop()
        assert isinstance(loop, _Loop)
        loop.jumping.now = start_s
        _use(loop, patch)
        runner.run(play)


def simulated(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """A test that runs by this clock. It has no fixture that is a coroutine: those run in another loop."""

    @functools.wraps(test)
    def play(*args: P.args, **more: P.kwargs) -> None:
        run(_alone(test(*args, **more)), _STARTED_S)

    return play


async def _alone(play: Coroutine[Any, Any, None]) -> None:
    async with leaving_nothing():
        await play


def without_time(call: Callable[..., Awaitable[Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """A wait for a thread, while which the clock of this test stands still."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, _Loop)
    return loop.jumping.counted(call)


def _use(loop: _Loop, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(time, "monotonic", loop.time)
    for module in list(sys.modules.values()):
        # What a module took from `time` when it was imported.
        if vars(module).get("_now") is _REAL:
            patch.setattr(module, "_now", loop.time)
    _use_in_storage(loop.jumping, patch)


def _use_in_storage(jumping: _Jumping, patch: pytest.MonkeyPatch) -> None:
    """The threads of a database, and its time, by which leases end."""
    queue_batch, answered = sqlite._CommitThread._queue_batch, sqlite._CommitThread._answer_batch
    began = time.time_ns() // 1000

    def queue_counted(self: Any, contents: Any) -> None:
        jumping.threads += 1
        queue_batch(self, contents)

    def answered_counted(self: Any, outcomes: Any) -> None:
        jumping.threads -= 1
        answered(self, outcomes)

    async def now(_store: Any) -> int:
        return began + round(jumping.now * 1_000_000)

    patch.setattr(sqlite._CommitThread, "_queue_batch", queue_counted)
    patch.setattr(sqlite._CommitThread, "_answer_batch", answered_counted)
    patch.setattr(sqlite._CommitThread, "stop", jumping.counted(sqlite._CommitThread.stop))
    patch.setattr(sqlite.SqliteStore, "now", now)
    for name in ("_connect", "_execute", "close"):
        patch.setattr(aiosqlite.Connection, name, jumping.counted(getattr(aiosqlite.Connection, name)))
