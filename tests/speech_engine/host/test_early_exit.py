"""A slot and an engine that are given back, however a job ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import pytest

from speech_engine import Audio, Event, Finished, SpeechJob, Started
from speech_engine.errors import EngineFailed
from speech_engine.host.messages import Failed
from speech_engine.host.pulse import Pulse
from speech_engine.host.queue import FairQueue
from speech_engine.host.running import in_turn, spooled
from speech_engine.host.spool import SPOOL_BYTES
from tests.speech_engine.host.fakes import CHUNK, RATE_HZ, FakeEngine, FakeLog, job
from tests.speech_engine.host.simulated_time import run
from tests.speech_engine.host.visitors import steps


class Lingering(FakeEngine):
    """Takes a few turns of the loop to end; `open` counts what has begun and not ended."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        super().__init__(self._words, slots=1)
        self.open = 0
        self._then = then

    async def _words(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        self.open += 1
        try:
            yield Started(RATE_HZ)
            yield Audio(0, CHUNK)
            self._then()
            await asyncio.Event().wait()
        finally:
            for _ in range(5):
                await asyncio.sleep(0)
            self.open -= 1


def fail() -> None:
    raise EngineFailed("Not today.")


def crash() -> None:
    raise ValueError("a bug of the engine")


def nobody_watches(_working: int) -> None:
    """The pulse of a host without a supervisor."""


@pytest.mark.parametrize("taken", [1, 2])
async def test_a_spooled_job_that_is_closed_has_freed_its_slot_and_ended_its_engine(taken: int) -> None:
    engine, queue = Lingering(), FairQueue(1, 0)
    frames = spooled(engine, queue, job(), FakeLog(), Pulse(nobody_watches))
    for _ in range(taken):
        await anext(frames)
    assert (engine.open, queue.running) == (1, 1)
    await frames.aclose()
    assert (engine.open, queue.running) == (0, 0)


@pytest.mark.parametrize("break_off", [fail, crash])
async def test_a_spooled_job_that_fails_has_freed_its_slot_when_the_failure_is_read(
    break_off: Callable[[], None],
) -> None:
    engine, queue = Lingering(break_off), FairQueue(1, 0)
    frames = [frame async for frame in spooled(engine, queue, job(), FakeLog(), Pulse(nobody_watches))]
    assert isinstance(frames[-1], Failed)
    assert (engine.open, queue.running) == (0, 0)


async def test_a_job_in_its_turn_that_is_closed_has_ended_its_engine_before_its_slot_is_free() -> None:
    engine, queue = Lingering(), FairQueue(1, 1)
    events = in_turn(engine, queue, job(), FakeLog(), Pulse(nobody_watches))
    await anext(events)
    seen: list[int] = []

    async def come_next() -> None:
        async with queue.turn("next", 5.0):
            seen.append(engine.open)

    waiting = asyncio.create_task(come_next())
    await asyncio.sleep(0)
    await events.aclose()
    await waiting
    assert seen == [0]


async def test_a_reader_that_is_cancelled_frees_the_slot() -> None:
    engine, queue = Lingering(), FairQueue(1, 0)
    frames = spooled(engine, queue, job(), FakeLog(), Pulse(nobody_watches))

    begun = asyncio.Event()

    async def read() -> None:
        async for _ in frames:
            begun.set()

    reading = asyncio.create_task(read())
    await begun.wait()
    reading.cancel()
    await asyncio.wait([reading])
    await frames.aclose()
    assert (engine.open, queue.running) == (0, 0)


async def test_a_job_that_is_closed_while_its_spool_is_full_has_freed_its_slot() -> None:
    is_ended = False

    async def speak_without_end(job: SpeechJob) -> AsyncGenerator[Event, None]:
        nonlocal is_ended
        try:
            yield Started(RATE_HZ)
            while True:
                yield Audio(0, bytes(SPOOL_BYTES))
        finally:
            is_ended = True

    queue = FairQueue(1, 0)
    frames = spooled(FakeEngine(speak_without_end, slots=1), queue, job(), FakeLog(), Pulse(nobody_watches))
    await anext(frames)
    await steps(20)
    await frames.aclose()
    assert (is_ended, queue.running) == (True, 0)


async def test_a_job_whose_task_is_cancelled_is_cancelled_and_no_failure() -> None:
    engine, queue = Lingering(), FairQueue(1, 0)
    has_begun = asyncio.Event()

    async def listen() -> None:
        async with aclosing(in_turn(engine, queue, job(), FakeLog(), Pulse(nobody_watches))) as events:
            async for _ in events:
                has_begun.set()

    listening = asyncio.create_task(listen())
    await has_begun.wait()
    await steps()
    listening.cancel()
    await asyncio.wait([listening])
    assert listening.cancelled()
    assert (engine.open, queue.running) == (0, 0)


def test_the_time_that_a_job_waited_for_its_turn_is_gone_from_its_deadline() -> None:
    deadlines: list[float] = []

    async def speak(job: SpeechJob) -> AsyncGenerator[Event, None]:
        deadlines.append(job.deadline_s)
        yield Finished()

    async def play() -> None:
        queue = FairQueue(1, 1)
        events = in_turn(FakeEngine(speak), queue, job(deadline_s=5.0), FakeLog(), Pulse(nobody_watches))
        async with queue.turn("z", 60.0):
            speaking = asyncio.ensure_future(anext(events))
            await asyncio.sleep(2.0)
        assert await speaking == Finished()
        await events.aclose()

    run(play())
    assert deadlines == [3.0]
