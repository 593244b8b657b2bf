"""Work in a thread: its result, its error, and its end when nobody waits for it any more."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from speech_engine import EngineFailed
from speech_engine.host import stoppable
from speech_engine.host.stoppable import run_stoppable, wait_stoppable

pytestmark = pytest.mark.slow


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """One thread, so that the next work shows that the last one ended."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


def nothing() -> None:
    pass


async def test_it_gives_the_result_or_the_error(threads: ThreadPoolExecutor) -> None:
    assert await run_stoppable(threads, lambda: 7, nothing, nothing) == 7
    with pytest.raises(ZeroDivisionError):
        await run_stoppable(threads, lambda: 1 // 0, nothing, nothing)


async def test_work_that_nobody_waits_for_is_stopped_and_its_thread_is_free(
    threads: ThreadPoolExecutor,
) -> None:
    begun, stop = threading.Event(), threading.Event()

    def work() -> bool:
        begun.set()
        return stop.wait()

    waiting = asyncio.create_task(run_stoppable(threads, work, stop.set, nothing))
    await asyncio.to_thread(begun.wait)
    waiting.cancel()
    await asyncio.wait((waiting,))
    assert waiting.cancelled()
    assert await run_stoppable(threads, lambda: 7, nothing, nothing) == 7


async def test_who_is_cancelled_twice_waits_for_the_thread_too(threads: ThreadPoolExecutor) -> None:
    begun, stopped, may_end = threading.Event(), asyncio.Event(), threading.Event()

    def work() -> bool:
        begun.set()
        return may_end.wait()

    waiting = asyncio.create_task(run_stoppable(threads, work, stopped.set, nothing))
    await asyncio.to_thread(begun.wait)
    waiting.cancel()
    await stopped.wait()
    waiting.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    waits = not waiting.done()
    may_end.set()
    await asyncio.wait((waiting,))
    assert (waits, waiting.cancelled()) == (True, True)


async def test_work_without_end_is_stopped_and_fails(threads: ThreadPoolExecutor) -> None:
    stop, ticks = threading.Event(), []
    with pytest.raises(EngineFailed, match="takes too long"):
        await run_stoppable(threads, stop.wait, stop.set, lambda: ticks.append(1), most_looks=1)
    assert ticks == [1]


async def test_time_in_which_nothing_waits_for_it_does_not_count(threads: ThreadPoolExecutor) -> None:
    stop, texts = threading.Event(), [1]
    with pytest.raises(EngineFailed, match="takes too long"):
        # One more comes with each look, and the second look is the first that counts.
        await run_stoppable(threads, stop.wait, stop.set, lambda: texts.append(1), 2, texts)
    assert len(texts) == 3


def test_without_a_loop_it_ticks_while_the_work_goes_on_and_stops_what_takes_too_long(
    threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stoppable, "MOST_LOOKS", 2)
    ticked, stopped = threading.Event(), threading.Event()
    assert wait_stoppable(threads.submit(ticked.wait), stopped.set, ticked.set)
    with pytest.raises(ZeroDivisionError):
        wait_stoppable(threads.submit(lambda: 1 // 0), stopped.set, nothing)
    assert not stopped.is_set()
    with pytest.raises(EngineFailed, match="too long"):
        wait_stoppable(threads.submit(stopped.wait), stopped.set, nothing)
