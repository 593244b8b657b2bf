"""A part read ahead: bounded, in order, and with its failure kept until its turn."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from policies.routing import Candidate, Model
from proxy.audio.formats import USUAL_FORMS
from proxy.audio.sound import FADE_SAMPLES
from proxy.errors import ReaderTooSlow
from proxy.speech.candidate_stream import CandidateStream
from proxy.speech.deadline import AudioTimeout
from proxy.speech.prefetch import MEMORY_BYTES, Prefetch
from proxy.speech.spill import SpillQuota
from proxy.speech.spoken_word import TimedWords
from speech_engine import (
    Audio,
    EngineFailed,
    EngineVoice,
    Event,
    Finished,
    ModelInfo,
    Speak,
    SpeechJob,
    Started,
)
from speech_engine.host.engine_stream import EngineAnswer
from tests.proxy.api.scripted import RATE_HZ
from tests.speech_engine.host.fakes import FakeEngine, FakeLog

CHUNK = bytes(RATE_HZ // 5)
LARGE = bytes(100_000)
KEPT_BACK = FADE_SAMPLES * 2 + 64
"""Bytes of a speech that are kept back: those that may be faded, and the last ones before a settlement."""
CANDIDATE = Candidate(Model("one", ModelInfo(id="m", languages=(), sample_rate_hz=RATE_HZ)), EngineVoice("v"))
JOB = SpeechJob(id="req_1", tenant="acc", model="m", voice=EngineVoice("v"), segments=(), language="en")


class Endless:
    """An engine that speaks so many chunks, counting those that were taken."""

    def __init__(self, chunks: int, error: EngineFailed | None = None, chunk: bytes = CHUNK) -> None:
        self.taken = 0
        self.is_closed = False
        self._chunks = chunks
        self._error = error
        self._chunk = chunk

    async def begin(self) -> CandidateStream:
        speaking = CandidateStream(CANDIDATE, JOB, TimedWords, 1.0, USUAL_FORMS["pcm"], AudioTimeout())
        events = EngineAnswer(FakeEngine(self._events), Speak(JOB), FakeLog())
        await speaking.read_first_audio(events)
        return speaking

    async def _events(self, _job: SpeechJob) -> AsyncGenerator[Event, None]:
        try:
            yield Started(RATE_HZ)
            for self.taken in range(1, self._chunks + 1):  # noqa: B020 - counted where a test sees it
                yield Audio(0, self._chunk)
                await asyncio.sleep(0)
            if self._error is not None:
                raise self._error
            yield Finished()
        finally:
            self.is_closed = True


@asynccontextmanager
async def reading(engine: Endless, megabytes: int = 64) -> AsyncIterator[Prefetch[CandidateStream]]:
    with TemporaryDirectory() as folder:
        ahead = Prefetch(engine.begin, SpillQuota(Path(folder), megabytes))
        try:
            yield ahead
        finally:
            await ahead.close()


async def turns() -> None:
    """Long enough for whoever can go on to have done so."""
    for _ in range(2000):
        await asyncio.sleep(0)


async def test_the_engine_waits_for_no_reader_and_nothing_is_lost() -> None:
    chunks = 4 * MEMORY_BYTES // len(LARGE)
    engine = Endless(chunks, chunk=LARGE)
    async with reading(engine) as ahead:
        await ahead.wait_begun()
        await asyncio.wait_for(ahead.finished.wait(), 20.0)
        assert (engine.taken, engine.is_closed) == (chunks, True)
        whole = 0
        while (chunk := await ahead.next_chunk()) is not None:
            whole += len(chunk.data)
        assert whole + len(ahead.last_chunk().data) == chunks * len(LARGE)


async def test_a_reader_for_whom_there_is_no_room_is_told_and_its_engine_is_free() -> None:
    engine = Endless(4 * MEMORY_BYTES // len(LARGE), chunk=LARGE)
    async with reading(engine, megabytes=1) as ahead:
        await ahead.wait_begun()
        await asyncio.wait_for(ahead.finished.wait(), 20.0)
        assert engine.is_closed
        with pytest.raises(ReaderTooSlow):
            await ahead.next_chunk()


async def test_all_of_it_comes_in_order_and_then_nothing() -> None:
    async with reading(Endless(900)) as ahead:
        whole = b""
        while (chunk := await ahead.next_chunk()) is not None:
            whole += chunk.data
        assert len(whole + ahead.last_chunk().data) == 900 * len(CHUNK)
        assert await ahead.next_chunk() is None


async def test_a_reader_that_waits_may_be_cancelled_and_nothing_is_lost() -> None:
    async with reading(Endless(50)) as ahead:
        whole, given_up = 0, 0
        for patience in cycle(range(6)):
            waiting = asyncio.create_task(ahead.next_chunk())
            for _ in range(patience):
                await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait((waiting,))
            if waiting.cancelled():
                given_up += 1
            elif (chunk := waiting.result()) is None:
                break
            else:
                whole += len(chunk.data)
        assert whole + len(ahead.last_chunk().data) == 50 * len(CHUNK)
        assert given_up >= 10


async def test_a_failure_waits_for_what_was_made_before_it() -> None:
    async with reading(Endless(5, EngineFailed("x"))) as ahead:
        await ahead.wait_begun()
        await turns()
        # All but the last bytes, which a speech keeps back to fade them and to settle.
        heard = 0
        while heard < 5 * len(CHUNK) - KEPT_BACK:
            chunk = await ahead.next_chunk()
            assert chunk is not None
            heard += len(chunk.data)
        for _ in range(2):
            with pytest.raises(EngineFailed):
                await ahead.next_chunk()


async def test_a_part_that_is_closed_midway_has_freed_its_engine() -> None:
    engine = Endless(1_000_000)
    async with reading(engine) as ahead:
        await ahead.wait_begun()
        assert not engine.is_closed
    assert ahead.finished.is_set()
    assert engine.is_closed


async def test_a_part_that_nobody_heard_ends_quietly() -> None:
    engine = Endless(5, EngineFailed("x"))
    async with reading(engine):
        await turns()
    assert engine.is_closed


async def test_other_tasks_get_a_turn_between_any_two_chunks_that_are_there_already() -> None:
    """Encoding half a minute in one go would keep the whole server waiting."""
    seen: list[int] = []
    heard = 0

    async def other() -> None:
        while True:
            seen.append(heard)
            await asyncio.sleep(0)

    async with reading(Endless(50)) as ahead:
        await turns()
        beside = asyncio.create_task(other())
        while await ahead.next_chunk() is not None:
            heard += 1
        beside.cancel()
    assert set(seen) >= set(range(1, heard))
