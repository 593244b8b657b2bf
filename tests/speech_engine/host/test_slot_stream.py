"""A job in its turn counts what it made, so that the next turn goes to whoever had least."""

import asyncio
from collections.abc import AsyncGenerator, Callable

import msgspec
import pytest

from speech_engine import Audio, Encoded, Event, Finished, SpeechJob, Started
from speech_engine import Speak as SpeakWork
from speech_engine.errors import EngineFailed
from speech_engine.host.engine_stream import SlotStream
from speech_engine.host.slots import Slots
from tests.speech_engine.host.fakes import RATE_HZ, FakeEngine, FakeLog, Speak, job, read
from tests.waiting import soon

A_SECOND = bytes(2 * RATE_HZ)


def ten_seconds(of: Callable[[], Event]) -> Speak:
    async def speak(job: SpeechJob) -> AsyncGenerator[Event, None]:
        yield Started(RATE_HZ)
        for _ in range(10):
            yield of()
        yield Finished()

    return speak


async def order_of_jobs(engine: FakeEngine, jobs: list[SpeechJob]) -> str:
    """The tenants in the order in which the engine began their jobs, all of which waited for its one slot."""
    slots = Slots(count=1, limit=100)

    async def consume(wanted: SpeechJob) -> None:
        try:
            await read(SlotStream(engine, slots, SpeakWork(wanted), FakeLog()))
        except EngineFailed:
            pass

    first = await slots.enter("z", 60.0)
    consumers = [asyncio.create_task(consume(wanted)) for wanted in jobs]
    await soon(lambda: slots.waiting == len(jobs))
    slots.leave(first)
    await asyncio.gather(*consumers)
    return "".join(id_[0] for id_ in engine.jobs)


def jobs_of(tenant: str, count: int, estimated_s: float, share: float = 1.0) -> list[SpeechJob]:
    asked = job(tenant=tenant)
    return [
        msgspec.structs.replace(asked, id=f"{tenant}{number}", estimated_s=estimated_s, share=share)
        for number in range(count)
    ]


@pytest.mark.parametrize(
    "event",
    [lambda: Audio(0, A_SECOND), lambda: Encoded("mp3", b"frames", RATE_HZ)],
    ids=["audio", "encoded"],
)
async def test_the_audio_that_was_made_is_what_counts(event: Callable[[], Event]) -> None:
    jobs = [*jobs_of("a", 4, estimated_s=0.0), *jobs_of("b", 4, estimated_s=10.0)]
    assert await order_of_jobs(FakeEngine(ten_seconds(event), slots=1), jobs) == "abababab"


async def test_where_nothing_can_be_counted_the_estimate_counts() -> None:
    jobs = [*jobs_of("a", 4, estimated_s=10.0), *jobs_of("b", 4, estimated_s=5.0)]
    engine = FakeEngine(ten_seconds(lambda: Encoded("mp3", b"frames", None)), slots=1)
    assert await order_of_jobs(engine, jobs) == "abbabbaa"


async def test_a_larger_share_has_more_turns() -> None:
    jobs = [*jobs_of("a", 4, estimated_s=10.0), *jobs_of("b", 4, estimated_s=10.0, share=2.0)]
    engine = FakeEngine(ten_seconds(lambda: Audio(0, A_SECOND)), slots=1)
    assert await order_of_jobs(engine, jobs) == "abbabbaa"


async def test_a_failure_before_any_audio_has_cost_its_turn() -> None:
    async def fail(job: SpeechJob) -> AsyncGenerator[Event, None]:
        yield Started(RATE_HZ)
        raise EngineFailed("Not today.")

    jobs = [*jobs_of("a", 4, estimated_s=10.0), *jobs_of("b", 4, estimated_s=5.0)]
    assert await order_of_jobs(FakeEngine(fail, slots=1), jobs) == "abbabbaa"


async def test_a_rate_that_is_no_rate_counts_nothing_and_breaks_nothing() -> None:
    async def speak(job: SpeechJob) -> AsyncGenerator[Event, None]:
        yield Audio(0, A_SECOND)
        yield Started(0)
        yield Audio(0, A_SECOND)
        yield Finished()

    stream = SlotStream(FakeEngine(speak), Slots(1, 0), SpeakWork(job()), FakeLog())
    assert [type(event) for event in await read(stream)] == [Audio, Started, Audio, Finished]
