"""Work in a thread that can be stopped: a run of a network, which no task can cancel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sized
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from speech_engine.errors import EngineFailed
from speech_engine.host.engine_stream import run_to_end

LOOK_EVERY_S = 1.0
MOST_LOOKS = 120
"""The longest run, in looks: on a very slow processor, half a minute of sound may take this long."""
_TOO_LONG = "The voice's network takes too long."

T = TypeVar("T")


async def run_stoppable(
    threads: ThreadPoolExecutor,
    work: Callable[[], T],
    stop: Callable[[], None],
    tick: Callable[[], None],
    most_looks: int = MOST_LOOKS,
    sharers: Sized = (0, 0),
) -> T:
    """Do some work in a thread, and call `tick` until it ends. Work that takes too long is stopped. Time in
    which one of the `sharers` of the threads is left does not count: its caller ends it if others wait.

    When this is cancelled, the work is stopped, and its thread is free when this ends. Raise EngineFailed.
    """
    done = asyncio.wrap_future(threads.submit(work))
    try:
        looks = 0
        while looks < most_looks:
            await asyncio.wait((done,), timeout=LOOK_EVERY_S)
            if done.done():
                return done.result()
            tick()
            looks += len(sharers) > 1
        raise EngineFailed(_TOO_LONG)
    finally:
        stop()
        await run_to_end(_wait_for(done))


def wait_stoppable(done: Future[T], stop: Callable[[], None], tick: Callable[[], None]) -> T:
    """Wait for work in another thread, as `run_stoppable` does: for a thread without an event loop."""
    for _ in range(MOST_LOOKS):
        wait((done,), timeout=LOOK_EVERY_S)
        if done.done():
            return done.result()
        tick()
    stop()
    wait((done,))
    raise EngineFailed(_TOO_LONG)


async def _wait_for(done: asyncio.Future[T]) -> None:
    await asyncio.wait((done,))
    if not done.cancelled():
        done.exception()  # without this call, the loop reports a forgotten error
