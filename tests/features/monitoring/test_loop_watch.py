"""The watch on the loop: what holds it is measured by its thread's work, named, counted and logged."""

import asyncio
import hashlib
import threading
import time
from functools import partial

import pytest
from structlog.testing import capture_logs

from proxy.features.monitoring.loop_watch import LoopHold, hold_notes, watch_loop
from proxy.telemetry.metrics import Metrics


def work(seconds: float) -> None:
    """Takes this much of the thread's CPU time."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def longest(holds: list[LoopHold]) -> LoopHold:
    return max(holds, default=LoopHold(0.0, 0.0, ""))


@pytest.mark.clock
async def test_a_step_that_holds_the_loop_is_measured_and_named() -> None:
    holds: list[LoopHold] = []
    async with watch_loop(holds.append):
        await asyncio.sleep(0.05)
        work(0.3)
        await asyncio.sleep(0.05)
    hold = longest(holds)
    assert 0.25 < hold.held_s < 0.4
    assert hold.late_s >= hold.held_s
    names = hold.step.split(" < ")
    assert names[0] == "tests.features.monitoring.test_loop_watch.work"
    assert names[1].endswith(".test_a_step_that_holds_the_loop_is_measured_and_named")


@pytest.mark.clock
async def test_a_thread_that_only_waits_holds_nothing_by_its_own_work() -> None:
    holds: list[LoopHold] = []
    async with watch_loop(holds.append):
        await asyncio.sleep(0.05)
        time.sleep(0.3)  # noqa: ASYNC251 - as if the machine had no time for this thread
        await asyncio.sleep(0.05)
    assert longest(holds).held_s < 0.1


@pytest.mark.clock
async def test_work_of_another_thread_and_many_short_steps_hold_nothing() -> None:
    holds: list[LoopHold] = []
    async with watch_loop(holds.append):
        other = asyncio.create_task(asyncio.to_thread(work, 0.3))
        # Steps without a pause keep the interpreter's lock from the other thread: it ends after them.
        for _ in range(150):
            work(0.002)
            await asyncio.sleep(0)
        await other
    assert longest(holds).held_s < 0.1


def keep_the_lock() -> None:
    """One step of C that lets no other thread in, of a length by CPU time."""
    until = time.thread_time() + 0.3
    numbers = 1_000_000
    while time.thread_time() < until:
        began = time.thread_time()
        sum(range(numbers))
        numbers = int(numbers * min(8.0, 0.5 / max(time.thread_time() - began, 0.01)))
    # On a busy machine the loop looks late who it was.
    work(0.2)


@pytest.mark.clock
async def test_a_thread_that_keeps_the_interpreters_lock_holds_the_loop() -> None:
    holds: list[LoopHold] = []
    async with watch_loop(holds.append):
        await asyncio.sleep(0.1)
        await asyncio.to_thread(keep_the_lock)
        await asyncio.sleep(0.1)
    hold = longest(holds)
    assert hold.held_s > 0.15
    assert "tests.features.monitoring.test_loop_watch.keep_the_lock" in hold.step


@pytest.mark.clock
async def test_threads_that_work_without_the_lock_or_give_it_away_hold_nothing() -> None:
    holds: list[LoopHold] = []
    native = partial(hashlib.pbkdf2_hmac, "sha256", b"", b"", 400_000)
    async with watch_loop(holds.append):
        # With more threads than cores, the loop would wait for a core.
        await asyncio.gather(asyncio.to_thread(native), asyncio.to_thread(work, 0.3))
    assert longest(holds).held_s < 0.1


async def test_a_watch_ends_with_its_thread() -> None:
    before = threading.active_count()
    async with watch_loop(lambda _hold: None):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_each_hold_is_counted_and_a_long_one_is_logged_with_its_step() -> None:
    metrics = Metrics()
    note = hold_notes(metrics)
    with capture_logs() as logs:
        note(LoopHold(0.04, 0.05, ""))
        note(LoopHold(0.1234, 0.2, "some.step < another.step"))
    assert logs == [
        {
            "event": "loop.held",
            "log_level": "warning",
            "held_ms": 123,
            "late_ms": 200,
            "thread": "loop",
            "step": "some.step < another.step",
        }
    ]
    assert "voxgate_loop_held_seconds_count 2.0" in metrics.page_text()
    assert 'voxgate_loop_held_seconds_bucket{le="0.05"} 1.0' in metrics.page_text()
