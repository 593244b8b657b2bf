"""A part that was asked ahead and refused, while the one before it was heard, has a second chance."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from speech_engine import EngineError, Event, Finished, SpeechJob, Started, errors
from tests.proxy.api.scripted import RATE_HZ, Scripted, Step, sound, spoken
from tests.proxy.speech.relay.voices import CONFIG, PAUSE_S, body, hear, said, speech, stage
from tests.speech_engine.host.simulated_time import simulated

SECOND = RATE_HZ * 2


class Busy(Scripted):
    """Refuses its jobs until it `is_free`; each refusal is told."""

    def __init__(self, error: EngineError, *script: Step) -> None:
        super().__init__(*script)
        self.has_refused, self.is_free = asyncio.Event(), asyncio.Event()
        self._error = error

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        if not self.is_free.is_set():
            self.jobs.append(job)
            self.has_refused.set()
            raise self._error
        async for event in super().speak(job):
            yield event

    async def come_free(self) -> None:
        """A step of another one's script: this one is free from here on, having refused before."""
        await self.has_refused.wait()
        self.is_free.set()


@pytest.mark.parametrize("error", [errors.EngineBusy("x"), errors.EngineUnavailable("x", retry_after_s=9.0)])
async def test_an_engine_that_was_busy_while_another_was_heard_is_asked_once_more(
    tmp_path: Path, error: EngineError
) -> None:
    two = Busy(error, *spoken(0.5))
    one = Scripted(Started(RATE_HZ), *sound(0.5), two.come_free, *sound(0.5), Finished())
    async with stage(tmp_path, one, two) as server:
        content = await hear(server, "[Ana] Olá. [Ben] Hi. [Ana] Tchau.")
        (row,) = await server.usage()
    assert [said(job) for job in two.jobs] == ["Hi.", "Hi."]
    assert len(content) == (2.5 + 2 * PAUSE_S) * SECOND
    assert (row.outcome, row.engine) == ("finished", "one+two")


@pytest.mark.parametrize(
    ("second", "asked"),
    [
        ([errors.EngineFailed("x")], 2),
        # Nobody else may say it, and nobody says it later.
        ([errors.ContentRefused("No.")], 1),
        # Its listener has waited for most of its time, or for all of it.
        ([lambda: asyncio.sleep(1.6), errors.EngineFailed("x")], 1),
        ([asyncio.Event().wait], 1),
    ],
    ids=["failed", "refused", "late", "silent"],
)
@simulated
async def test_once_more_is_all(tmp_path: Path, second: list[Step], asked: int) -> None:
    config = f"[server]\nfirst_audio_s = 2\n{CONFIG}"
    one, two = Scripted(*spoken(0.5)), Scripted(*second)
    async with stage(tmp_path, one, two, config=config) as server:
        await server.raw_speech(body("[Ana] Olá. [Ben] Hi."))
        (row,) = await server.usage()
    assert len(two.jobs) == asked
    assert row.outcome == "failed"


@simulated
async def test_the_second_time_is_short_by_what_its_listener_has_waited(tmp_path: Path) -> None:
    async def linger() -> None:
        if len(two.jobs) == 1:
            await asyncio.sleep(1.0)

    two = Scripted(linger, errors.EngineFailed("x"))
    config = f"[server]\nfirst_audio_s = 5\n{CONFIG}"
    async with stage(tmp_path, Scripted(*spoken(0.1)), two, config=config) as server:
        await server.raw_speech(body("[Ana] Olá. [Ben] Hi."))
    first_s, second_s = [job.deadline_s or 0.0 for job in two.jobs]
    assert [first_s, second_s] == pytest.approx([5.0, 4.0])


@simulated
async def test_the_second_candidate_is_not_asked_behind_the_answers_own_part_either(tmp_path: Path) -> None:
    """The one slot is that of the part before, and who was to speak this one instead has failed."""
    two = Scripted(errors.EngineFailed("x"))
    three = Scripted(*speech(0.3, lambda: asyncio.sleep(1.2)))
    three.slots = 1
    config = f"[server]\nfirst_audio_s = 1\n{CONFIG}"
    async with stage(tmp_path, Scripted(), two, three, config=config) as server:
        content = await hear(server, "[Cid] Um. [Dot] Dois.")
    assert [said(job) for job in three.jobs] == ["Um.", "Dois."]
    assert [said(job) for job in two.jobs] == ["Dois."]
    assert len(content) == round((0.6 + PAUSE_S) * RATE_HZ) * 2
