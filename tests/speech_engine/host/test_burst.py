"""Many listeners at once, in simulated time: as many are let in as hear no gap, and hardly fewer.

The loop, the slots and the gate are the real ones, with the settings as shipped; a step takes a chosen time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from bench.continuity import Room, _job
from bench.listeners import GAP_S, Heard, Visit
from bench.timed_model import TimedModel
from speech_engine import EngineError, Urgency
from speech_engine.host.batch_model import BatchSettings
from tests.speech_engine.host import simulated_time
from tests.tables import each_row

pytestmark = pytest.mark.slow

QUICK = (0.015, 0.0005)
"""A step of one row takes 15.5 ms and one of 16 takes 23, for 46 ms of each row's sound."""

STEEP = (0.02, 0.003)
"""A step of more than eight rows takes longer than its sound lasts."""


def simulate(play: Callable[[Room], Awaitable[None]], step: tuple[float, float], **settings: Any) -> None:
    async def run() -> None:
        room = Room(TimedModel(*step), BatchSettings(**settings))
        device = asyncio.create_task(room.run_device())
        await asyncio.sleep(0.5)
        await play(room)
        device.cancel()
        with suppress(asyncio.CancelledError):
            await device

    simulated_time.run(run())


def visit(length_s: float, in_s: float = 0.0, number: int = 0) -> Visit:
    at_s = asyncio.get_running_loop().time() + in_s
    return Visit(at_s, number % 5, 1, length_s, 1.0, False)


async def burst(room: Room, count: int, length_s: float, apart_s: float) -> list[Heard]:
    """Return what those heard who were let in."""
    visits = [visit(length_s, number * apart_s, number) for number in range(count)]
    heard = await asyncio.gather(*map(room.serve, visits))
    return [each for each in heard if each.first_audio_s is not None]


def smooth(heard: list[Heard]) -> int:
    return sum(each.is_whole_answer and each.gap_s <= GAP_S for each in heard)


@pytest.mark.parametrize("length_s", [10.0, 30.0])
def test_a_burst_after_light_use_is_let_in_as_far_as_the_device_goes(length_s: float) -> None:
    async def play(room: Room) -> None:
        for _ in range(10):
            await room.serve(visit(4.0))
        heard = await burst(room, 24, length_s, 0.001)
        # Their texts join one by one, and all of that falls into the first steps.
        assert (len(heard), smooth(heard)) == (24, 24)

    simulate(play, QUICK)


@pytest.mark.parametrize("is_used", [False, True])
def test_a_burst_on_a_fresh_host_is_let_in_as_on_one_that_has_spoken(is_used: bool) -> None:
    async def play(room: Room) -> None:
        if is_used:
            await room.serve(visit(9.0))
        heard = await burst(room, 24, 30.0, 0.001)
        assert 5 <= len(heard) < 12
        assert smooth(heard) == len(heard)

    simulate(play, STEEP)


@each_row("apart_s", [0.04, 0.2, 1.2])
def test_no_step_is_too_slow_for_those_who_hear_its_rows(apart_s: float) -> None:
    async def play(room: Room) -> None:
        for _ in range(10):
            await room.serve(visit(4.0))
        heard = await burst(room, 24, 10.0, apart_s)
        assert len(heard) >= 7
        assert smooth(heard) == len(heard)

    simulate(play, STEEP)


def test_a_device_that_is_too_slow_for_anybody_speaks_all_the_same() -> None:
    async def play(room: Room) -> None:
        heard = await burst(room, 2, 10.0, 1.0)
        assert heard[0].is_whole_answer

    simulate(play, (0.06, 0.001))


def test_no_more_listeners_are_let_in_than_there_are_rows() -> None:
    async def play(room: Room) -> None:
        await room.serve(visit(4.0))
        heard = await burst(room, 24, 30.0, 0.001)
        assert (len(heard), smooth(heard)) == (4, 4)

    simulate(play, QUICK, rows=4, width=16)


@pytest.mark.parametrize("urgency", ["live", "ahead"])
def test_a_part_whose_answer_began_on_another_engine_is_a_newcomer(urgency: Urgency) -> None:
    async def play(room: Room) -> None:
        spoken = 0

        async def come(number: int) -> None:
            nonlocal spoken
            job = _job(
                number, TimedModel().segments(60.0), urgency, 1.0, plays_in_s=0.2, id_=f"stranger {number}"
            )
            with suppress(EngineError):
                async for _ in room._events(job):
                    pass
                spoken += 1

        async with asyncio.TaskGroup() as group:
            heard = group.create_task(burst(room, 6, 30.0, 0.5))
            await asyncio.sleep(5.0)
            for number in range(20):
                group.create_task(come(50 + number))
        print(f"{spoken} of 20 were spoken")
        assert spoken <= 4
        assert smooth(heard.result()) == 6

    simulate(play, STEEP)


def test_idle_work_gets_its_share_though_more_listeners_come_than_fit() -> None:
    async def play(room: Room) -> None:
        visits = [visit(60.0, number * 0.5, number) for number in range(40)]
        served = [asyncio.create_task(room.serve(each)) for each in visits]
        await asyncio.sleep(9.0)  # their rows fill the model's memory, and a slot is free
        idle = asyncio.create_task(room.run_idle())
        await asyncio.sleep(20.0)
        for task in (*served, idle):
            task.cancel()
        await asyncio.gather(*served, idle, return_exceptions=True)
        # A thirtieth of 16 places is half a row, and a row makes up to two seconds a second.
        assert room.idle_s > 10.0

    simulate(play, QUICK)
