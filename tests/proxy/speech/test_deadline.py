"""A deadline ends a block of its task, and nothing else: no other block, and no cancelling by others."""

import asyncio
from typing import Any

import pytest

from proxy.speech.deadline import Deadline, MovingTimer
from tests.tables import each_row
from tests.waiting import forever

AT_ONCE_S, LATE_S = 0.01, 60.0


class Clock:
    """The clock of the test's loop, which stands still until the test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    async def move(self, seconds: float) -> None:
        """Let so much time go by, and do what is due then."""
        self.now += seconds
        for _ in range(3):
            await asyncio.sleep(0)


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr(asyncio.get_running_loop(), "time", moved)
    return moved


async def test_a_block_that_is_late_raises_a_timeout() -> None:
    deadline = Deadline()
    with pytest.raises(TimeoutError):
        with deadline.expire_in(AT_ONCE_S):
            await forever()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_block_that_is_in_time_leaves_nothing_behind(clock: Clock) -> None:
    deadline = Deadline()
    with deadline.expire_at(clock.now + 1.0):
        pass
    await clock.move(3.0)
    with deadline.expire_at(clock.now + 60.0):
        await clock.move(3.0)
    deadline.close()


async def test_a_deadline_moves_on_with_each_block(clock: Clock) -> None:
    deadline = Deadline()
    for _ in range(5):
        with deadline.expire_at(clock.now + 5.0):
            await clock.move(2.0)
    with pytest.raises(TimeoutError):
        with deadline.expire_at(clock.now + 1.0):
            await clock.move(2.0)


async def test_an_earlier_moment_comes_before_the_one_that_was_set(clock: Clock) -> None:
    deadline = Deadline()
    with deadline.expire_at(clock.now + 60.0):
        pass
    with pytest.raises(TimeoutError):
        with deadline.expire_at(clock.now + 1.0):
            await clock.move(2.0)


@each_row("far_s, handles", [(3.0, 60), (180.0, 1)])
async def test_a_timer_wakes_the_loop_no_more_often_than_it_has_to(
    far_s: float, handles: int, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    timer, expired, loop = MovingTimer(), asyncio.Event(), asyncio.get_running_loop()
    calls: list[float] = []
    call_at = loop.call_at

    def counted(when: float, *rest: Any) -> asyncio.TimerHandle:
        calls.append(when)
        return call_at(when, *rest)

    monkeypatch.setattr("time.monotonic", clock)
    monkeypatch.setattr(loop, "call_at", counted)
    monkeypatch.setattr(timer, "expire", expired.set)
    timer.far_s = far_s
    timer.expire_in(180.0)
    for _ in range(60):
        await clock.move(3.0)
    assert expired.is_set()
    assert len(calls) == handles


async def test_a_task_that_is_cancelled_by_somebody_else_is_cancelled() -> None:
    deadline = Deadline()

    async def work() -> None:
        with deadline.expire_in(LATE_S):
            await forever()

    working = asyncio.create_task(work())
    await asyncio.sleep(0)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    deadline.close()


async def test_a_task_that_is_late_and_cancelled_in_the_same_moment_is_cancelled() -> None:
    deadline = Deadline()

    async def work() -> None:
        with deadline:
            await forever()

    working = asyncio.create_task(work())
    await asyncio.sleep(0)
    deadline.expire()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working


async def test_one_deadline_serves_one_task_after_the_other() -> None:
    deadline = Deadline()

    async def block(seconds: float) -> None:
        with deadline.expire_in(seconds):
            await forever()

    first = asyncio.create_task(block(LATE_S))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    with pytest.raises(TimeoutError):
        await asyncio.create_task(block(AT_ONCE_S))


async def test_a_deadline_that_expires_between_blocks_ends_none() -> None:
    deadline = Deadline()
    deadline.expire()
    with deadline:
        await asyncio.sleep(0)
