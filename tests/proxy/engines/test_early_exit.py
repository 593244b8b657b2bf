"""A job that ends early gives back its engine, its slot, its place in the line and its probe."""

import asyncio
from collections.abc import AsyncGenerator
from functools import partial

import pytest

from policies.breaker import MOST_FAULTS
from proxy.engines.in_process import InProcessEngine
from proxy.engines.providers.cloud_engine import CloudEngine
from proxy.engines.providers.provider_key import ProviderPace
from speech_engine import Audio, EngineFailed, EngineStumbled, Event, Speak, SpeechJob
from speech_engine.host.engine_stream import EngineStream
from tests.proxy.engines.keys import SILENT, WELL, Turns, cloud_engine, count_audio, job, later
from tests.speech_engine.host.fakes import read
from tests.waiting import soon

STUCK = (*WELL[:-1], *SILENT)
"""Some audio, and then nothing."""


async def first_audio(speech: EngineStream) -> None:
    while (event := await speech.next_event()) is not None:
        if isinstance(event, Audio):
            return


async def is_free(engine: InProcessEngine | CloudEngine) -> bool:
    health = await engine.health()
    return (health.running, health.waiting) == (0, 0)


async def is_busy(engine: CloudEngine) -> bool:
    return not await is_free(engine)


async def is_in_line(engine: CloudEngine) -> bool:
    return (await engine.health()).waiting == 1


@pytest.mark.parametrize("kind", ["in process", "cloud"])
async def test_a_speech_that_is_closed_has_ended_its_engine_and_freed_its_slot(kind: str) -> None:
    turns = Turns(STUCK, WELL, slots=1)
    engine = InProcessEngine(turns, 4) if kind == "in process" else cloud_engine(turns)
    speech = engine.open(Speak(job()))
    await first_audio(speech)
    assert not await is_free(engine)
    await speech.close()
    assert turns.open == 0
    assert await is_free(engine)
    assert await read(engine.open(Speak(job())))


@pytest.mark.parametrize("kind", ["in process", "cloud"])
async def test_a_job_that_is_cancelled_while_its_engine_is_silent_frees_its_slot(kind: str) -> None:
    turns = Turns(SILENT, WELL, slots=1)
    engine = InProcessEngine(turns, 4) if kind == "in process" else cloud_engine(turns)
    speech = engine.open(Speak(job()))
    listening = asyncio.create_task(first_audio(speech))
    await turns.asked.wait()
    listening.cancel()
    await asyncio.wait([listening])
    assert turns.open == 0
    assert await is_free(engine)
    assert await speech.next_event() is None
    assert await read(engine.open(Speak(job())))


class Broken(Turns):
    def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        raise ValueError(job.id)


@pytest.mark.parametrize("kind", ["in process", "cloud"])
async def test_a_plugin_that_fails_before_its_first_event_frees_its_slot(kind: str) -> None:
    engine = InProcessEngine(Broken(WELL), 4) if kind == "in process" else cloud_engine(Broken(WELL))
    with pytest.raises(EngineFailed, match="broke while speaking"):
        await read(engine.open(Speak(job())))
    assert await is_free(engine)


async def test_a_job_that_is_cancelled_in_the_line_leaves_it_and_was_never_asked() -> None:
    turns = Turns(SILENT, WELL, slots=1)
    engine = cloud_engine(turns)
    first, second = engine.open(Speak(job())), engine.open(Speak(job(tenant="acc_2")))
    speaking = asyncio.create_task(first_audio(first))
    await turns.asked.wait()
    waiting = asyncio.create_task(first_audio(second))
    await soon(partial(is_in_line, engine))
    for task, speech in ((waiting, second), (speaking, first)):
        task.cancel()
        await asyncio.wait([task])
        await speech.close()
    assert len(turns.jobs) == 1
    assert await is_free(engine)
    assert engine.keys[0].breaker.is_closed


async def test_a_job_that_is_cancelled_between_two_tries_holds_nothing() -> None:
    turns = Turns([EngineStumbled("x", retry_after_s=1.0)], WELL, slots=1)
    engine = cloud_engine(turns)
    speech = engine.open(Speak(job()))
    listening = asyncio.create_task(first_audio(speech))
    await turns.asked.wait()
    await soon(partial(is_free, engine))
    listening.cancel()
    await asyncio.wait([listening])
    await speech.close()
    assert (len(turns.jobs), turns.open) == (1, 0)


async def test_a_job_that_waits_for_its_pace_is_cancelled_without_a_word_to_the_provider() -> None:
    turns = Turns(WELL, slots=1)
    pace = ProviderPace(None)
    pace.pause(2.0)
    engine = cloud_engine(turns, pace=pace)
    speech = engine.open(Speak(job()))
    listening = asyncio.create_task(first_audio(speech))
    await soon(partial(is_busy, engine))
    listening.cancel()
    await asyncio.wait([listening])
    await speech.close()
    assert turns.jobs == []
    assert await is_free(engine)


async def test_a_probe_that_is_cancelled_leaves_the_next_one_to_another_job() -> None:
    turns = Turns(*[[EngineFailed("x")]] * MOST_FAULTS, SILENT, WELL, slots=1)
    engine = cloud_engine(turns)
    for number in range(MOST_FAULTS):
        with pytest.raises(EngineFailed):
            await count_audio(engine, job(tenant=f"acc_{number % 2}"))
    later(engine)
    turns.asked.clear()
    speech = engine.open(Speak(job()))
    listening = asyncio.create_task(first_audio(speech))
    await turns.asked.wait()
    assert engine.keys[0].breaker.probing
    listening.cancel()
    await asyncio.wait([listening])
    await speech.close()
    assert engine.keys[0].may_try("acc_1")
    assert await count_audio(engine)
    assert engine.keys[0].breaker.is_closed
