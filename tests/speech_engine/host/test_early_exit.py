"""A slot and an engine that are given back, however a job ends."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from speech_engine import Audio, EngineBusy, Event, Finished, Speak, SpeechJob, Started
from speech_engine.errors import EngineFailed
from speech_engine.host import messages
from speech_engine.host.engine_stream import EngineAnswer, SlotStream
from speech_engine.host.pipe_messages import (
    Tick,
)
from speech_engine.host.pulse import Pulse
from speech_engine.host.server import HostServer
from speech_engine.host.slots import Slots
from speech_engine.host.spool import SPOOL_BYTES
from tests.speech_engine.host.fakes import CHUNK, RATE_HZ, FakeEngine, FakeLog, job, read, speak_briefly
from tests.speech_engine.host.simulated_time import run
from tests.speech_engine.host.visitors import steps
from tests.waiting import soon


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


def stream_of(engine: FakeEngine, slots: Slots, request: SpeechJob | None = None) -> SlotStream:
    return SlotStream(engine, slots, Speak(request or job()), FakeLog())


@pytest.mark.parametrize("taken", [1, 2])
async def test_a_stream_that_is_closed_has_ended_its_engine_and_freed_its_slot(taken: int) -> None:
    engine, slots = Lingering(), Slots(1, 0)
    stream = stream_of(engine, slots)
    for _ in range(taken):
        await stream.next_event()
    assert (engine.open, slots.running) == (1, 1)
    await stream.close()
    assert (engine.open, slots.running) == (0, 0)
    await stream.close()
    assert await stream.next_event() is None


async def test_a_stream_that_is_closed_before_its_begin_never_asks_the_engine() -> None:
    engine, slots = Lingering(), Slots(1, 0)
    stream = stream_of(engine, slots)
    await stream.close()
    assert await stream.next_event() is None
    assert (engine.jobs, slots.running) == ([], 0)


@pytest.mark.parametrize("break_off", [fail, crash])
async def test_a_stream_that_fails_has_freed_its_slot_when_the_failure_is_read(
    break_off: Callable[[], None],
) -> None:
    engine, slots = Lingering(break_off), Slots(1, 0)
    stream = stream_of(engine, slots)
    assert isinstance(await stream.next_event(), Started)
    assert isinstance(await stream.next_event(), Audio)
    with pytest.raises(EngineFailed):
        await stream.next_event()
    assert (engine.open, slots.running) == (0, 0)
    assert await stream.next_event() is None


async def test_a_stream_has_freed_its_slot_when_finished_is_read() -> None:
    slots = Slots(1, 0)
    stream = stream_of(FakeEngine(slots=1), slots)
    while not isinstance(await stream.next_event(), Finished):
        assert slots.running == 1
    assert slots.running == 0
    assert await stream.next_event() is None


async def test_a_stream_that_finds_no_slot_is_over_and_holds_none() -> None:
    slots = Slots(1, 0)
    held = await slots.enter("z", 60.0)
    stream = stream_of(FakeEngine(), slots)
    with pytest.raises(EngineBusy):
        await stream.next_event()
    assert await stream.next_event() is None
    assert (slots.running, slots.waiting) == (1, 0)
    slots.leave(held)


async def test_a_stream_that_is_closed_has_ended_its_engine_before_its_slot_is_free() -> None:
    engine, slots = Lingering(), Slots(1, 1)
    stream = stream_of(engine, slots)
    await stream.next_event()
    seen: list[int] = []

    async def come_next() -> None:
        turn = await slots.enter("next", 5.0)
        seen.append(engine.open)
        slots.leave(turn)

    waiting = asyncio.create_task(come_next())
    await asyncio.sleep(0)
    await stream.close()
    await waiting
    assert seen == [0]


async def test_a_close_that_is_cancelled_ends_the_engine_first() -> None:
    engine, slots = Lingering(), Slots(1, 0)
    stream = stream_of(engine, slots)
    await stream.next_event()
    closing = asyncio.create_task(stream.close())
    await asyncio.sleep(0)
    for _ in range(2):
        closing.cancel()
        await asyncio.sleep(0)
    await asyncio.wait([closing])
    assert closing.cancelled()
    assert (engine.open, slots.running) == (0, 0)


async def test_a_reader_that_is_cancelled_ends_its_stream_and_frees_the_slot() -> None:
    engine, slots = Lingering(), Slots(1, 0)
    stream = stream_of(engine, slots)
    await stream.next_event()
    await stream.next_event()
    reading = asyncio.create_task(stream.next_event())
    await steps()
    reading.cancel()
    await asyncio.wait([reading])
    assert reading.cancelled()
    assert (engine.open, slots.running) == (0, 0)
    assert await stream.next_event() is None


async def test_a_reader_that_is_cancelled_in_the_line_leaves_it() -> None:
    engine, slots = Lingering(), Slots(1, 1)
    held = await slots.enter("z", 60.0)
    waiting = asyncio.create_task(stream_of(engine, slots).next_event())
    await steps()
    assert slots.waiting == 1
    waiting.cancel()
    await asyncio.wait([waiting])
    slots.leave(held)
    assert (engine.jobs, slots.running, slots.waiting) == ([], 0, 0)


async def test_work_that_the_engine_cancels_by_itself_is_a_failure() -> None:
    async def cancel_oneself(job: SpeechJob) -> AsyncGenerator[Event, None]:
        yield Started(RATE_HZ)
        raise asyncio.CancelledError

    slots = Slots(1, 0)
    stream = stream_of(FakeEngine(cancel_oneself), slots)
    await stream.next_event()
    with pytest.raises(EngineFailed, match="broke off its own work"):
        await stream.next_event()
    assert slots.running == 0


async def test_a_fault_after_finished_is_logged_and_changes_nothing() -> None:
    async def speak(job: SpeechJob) -> AsyncGenerator[Event, None]:
        try:
            yield Started(RATE_HZ)
            yield Finished()
        finally:
            raise ValueError("a bug in the clean-up")

    slots, log = Slots(1, 0), FakeLog()
    events = await read(SlotStream(FakeEngine(speak), slots, Speak(job()), log))
    assert isinstance(events[-1], Finished)
    assert [line["error"] for line in log.lines] == ["ValueError"]
    assert slots.running == 0


async def test_an_answer_without_a_slot_ends_its_engine_too() -> None:
    engine = Lingering()
    answer = EngineAnswer(engine, Speak(job()), FakeLog())
    await answer.next_event()
    await answer.close()
    assert engine.open == 0


async def test_a_free_slot_is_entered_without_a_turn_of_the_loop() -> None:
    slots = Slots(1, 0)
    entering = slots.enter("a", 5.0)
    with pytest.raises(StopIteration) as entered:
        entering.send(None)
    assert entered.value.value.admission is None
    slots.leave(entered.value.value)


def test_the_time_that_a_job_waited_for_its_turn_is_gone_from_its_deadline() -> None:
    deadlines: list[float] = []

    async def speak(job: SpeechJob) -> AsyncGenerator[Event, None]:
        deadlines.append(job.deadline_s)
        yield Finished()

    async def play() -> None:
        slots = Slots(1, 1)
        held = await slots.enter("z", 60.0)
        speaking = asyncio.create_task(read(stream_of(FakeEngine(speak), slots, job(deadline_s=5.0))))
        await asyncio.sleep(2.0)
        slots.leave(held)
        assert await speaking == [Finished()]

    run(play())
    assert deadlines == [3.0]


class HeldCall:
    """A gRPC call whose client has stopped reading. `written` has what it took before that."""

    def __init__(self) -> None:
        self.written: list[messages.Frame] = []

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """The call never ends."""

    async def write(self, frame: messages.Frame) -> None:
        self.written.append(frame)
        if len(self.written) == 2:
            await asyncio.Event().wait()


async def test_a_call_that_is_cut_off_has_freed_its_slot_when_it_is_over() -> None:
    engine, slots, ticks, call = Lingering(), Slots(1, 0), list[Tick](), HeldCall()
    server = HostServer(engine, slots, FakeLog(), Pulse(ticks.append))
    answering = asyncio.create_task(server.run(messages.Begin("call_1", Speak(job())), call))
    await soon(lambda: len(call.written) == 2)
    assert slots.running == 1
    answering.cancel()
    await asyncio.wait([answering])
    assert (engine.open, slots.running) == (0, 0)
    assert (ticks[-1].working, ticks[-1].ended, ticks[-1].is_whole) == (0, "call_1", False)


async def test_a_call_that_is_cut_off_while_its_spool_is_full_has_freed_its_slot() -> None:
    async def speak_too_much(job: SpeechJob) -> AsyncGenerator[Event, None]:
        yield Started(RATE_HZ)
        while True:
            yield Audio(0, bytes(SPOOL_BYTES))

    engine, slots, ticks, call = FakeEngine(speak_too_much, slots=1), Slots(1, 0), list[Tick](), HeldCall()
    server = HostServer(engine, slots, FakeLog(), Pulse(ticks.append))
    answering = asyncio.create_task(server.run(messages.Begin("call_1", Speak(job())), call))
    await soon(lambda: bool(ticks) and ticks[-1].working == 0)  # a pause of its own is no work
    assert slots.running == 1
    answering.cancel()
    await asyncio.wait([answering])
    assert slots.running == 0
    assert (ticks[-1].working, ticks[-1].ended, ticks[-1].is_whole) == (0, "call_1", False)


async def test_a_failure_that_waits_behind_a_full_spool_is_no_work() -> None:
    async def speak_too_much(job: SpeechJob) -> AsyncGenerator[Event, None]:
        yield Started(RATE_HZ)
        yield Audio(0, bytes(SPOOL_BYTES))
        yield Audio(0, bytes(SPOOL_BYTES + 2))
        fail()

    engine, slots, ticks, call = FakeEngine(speak_too_much, slots=1), Slots(1, 0), list[Tick](), HeldCall()
    server = HostServer(engine, slots, FakeLog(), Pulse(ticks.append))
    answering = asyncio.create_task(server.run(messages.Begin("call_1", Speak(job())), call))
    await soon(lambda: len(call.written) == 2 and not slots.running)
    assert (ticks[-1].working, ticks[-1].ended) == (0, "")
    answering.cancel()
    await asyncio.wait([answering])
    assert (ticks[-1].working, ticks[-1].ended, ticks[-1].is_whole) == (0, "call_1", False)


async def test_no_generator_is_left_to_the_collector_whatever_the_end() -> None:
    """The fixture of all tests sees each finalizer that runs, and each generator that stays open."""
    for speak in (speak_briefly, Lingering()._words):
        stream = stream_of(FakeEngine(speak), Slots(1, 0))
        await stream.next_event()
        await stream.close()
    await read(stream_of(FakeEngine(), Slots(1, 0)))
