"""A slot and an engine that are given back, however a job ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

import pytest

from speech_engine import Audio, Event, SpeechJob, Started
from speech_engine.errors import EngineFailed
from speech_engine.host.messages import Failed
from speech_engine.host.pulse import Pulse
from speech_engine.host.queue import FairQueue
from speech_engine.host.running import in_turn, spooled
from tests.speech_engine.host.fakes import CHUNK, RATE_HZ, FakeEngine, FakeLog, job


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
