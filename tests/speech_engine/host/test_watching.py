"""A host without a gateway forgets everything: after a silence, at a first Watch, and after a stop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from speech_engine.host.cluster_messages import UNWATCHED_S
from speech_engine.host.watching import UnwatchedWork
from tests.speech_engine.host import simulated_time


class _Host:
    """A host whose gateways are heard of by `watched`. `forgot` has the times at which it forgot."""

    def __init__(self) -> None:
        self.forgot: list[float] = []
        self.stopped_s = 0.0
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self.work = UnwatchedWork(self.now)

    def now(self) -> float:
        return self._loop.time() - self._began + self.stopped_s

    async def watched(self, seconds: int, *, is_first: bool = False) -> None:
        for second in range(seconds):
            self.work.note(is_first and second == 0)
            await asyncio.sleep(1.0)

    async def forget(self) -> None:
        self.forgot.append(self.now())


@asynccontextmanager
async def _running() -> AsyncIterator[_Host]:
    host = _Host()
    task = asyncio.create_task(host.work.end(host.forget, structlog.get_logger()))
    await asyncio.sleep(0)
    try:
        yield host
    finally:
        task.cancel()
        await asyncio.wait([task])


@simulated_time.simulated
async def test_it_forgets_once_after_fifteen_seconds_of_silence() -> None:
    async with _running() as host:
        await host.watched(100)
        assert host.forgot == []
        await asyncio.sleep(100.0)
        assert host.forgot == [99.0 + UNWATCHED_S]


@simulated_time.simulated
async def test_it_forgets_before_a_first_watch_does_anything() -> None:
    async with _running() as host:
        await host.watched(5)
        await asyncio.sleep(3.0)
        await host.watched(5, is_first=True)
        assert host.forgot == [8.0]


@simulated_time.simulated
async def test_a_silence_that_is_shorter_costs_nothing() -> None:
    async with _running() as host:
        await host.watched(1)
        await asyncio.sleep(UNWATCHED_S - 1.5)
        await host.watched(5)
        assert host.forgot == []


@simulated_time.simulated
async def test_a_process_that_was_stopped_forgets_although_it_hears_of_a_watch_at_once() -> None:
    async with _running() as host:
        await host.watched(5)
        host.stopped_s += UNWATCHED_S
        await host.watched(5)
        assert host.forgot == [5.0 + UNWATCHED_S]
        await host.watched(5)
        assert len(host.forgot) == 1
