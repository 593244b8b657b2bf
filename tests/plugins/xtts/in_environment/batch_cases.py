"""The model in the host's batch loop: many listeners in as many steps as the longest needs."""

import asyncio
import threading
from collections.abc import Sequence
from contextlib import aclosing

import pytest

from plugins.xtts.conditioning import VoiceBuilder, XttsVoice
from plugins.xtts.model import STEP_S, XttsModel, XttsRow
from plugins.xtts.model_format import FIRST_CODES
from speech_engine import Audio, Context, EngineVoice, Segment, SpeechJob
from speech_engine.host.batch_loop import BatchLoop
from speech_engine.host.batch_model import BatchSettings, RowStep
from speech_engine.host.log import HostLogger
from tests.plugins.xtts.in_environment.rig import TEXTS, rig

# isort: split
import numpy as np

MOST_LSB = 2
MOST_STEPS = 1.2
LISTENERS = 8
WAITS_S = 60.0

Batch = BatchLoop[XttsVoice, XttsRow]


def model() -> XttsModel:
    tiny = rig()
    return XttsModel(tiny.checkpoint, tiny.reader, tiny.decoder(), VoiceBuilder(tiny.checkpoint, "cpu"))


def job(number: int, *texts: str) -> SpeechJob:
    return SpeechJob(
        id=f"job-{number}",
        tenant="acc_1",
        model="tiny",
        voice=EngineVoice("any"),
        segments=tuple(Segment(text, 0, len(text)) for text in texts),
        language="en",
        seed=number,
        estimated_s=sum(map(len, texts)) * 0.06,
    )


async def heard(batch: Batch, spoken: SpeechJob, voice: XttsVoice) -> bytes:
    async with aclosing(batch.speak(spoken, voice)) as events:
        return b"".join([event.pcm async for event in events if isinstance(event, Audio)])


async def together(jobs: list[SpeechJob]) -> tuple[list[bytes], float]:
    """Return the sound of each, and the steps that all took."""
    settings = BatchSettings(
        slots=LISTENERS, rows=2 * LISTENERS, width=2 * LISTENERS, joins_per_step=LISTENERS
    )
    async with BatchLoop(model(), settings, Context(HostLogger("xtts")), STEP_S) as batch:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(heard(batch, each, rig().voices[number % 4]))
                for number, each in enumerate(jobs)
            ]
        return [task.result() for task in tasks], batch.figures()["steps"]


def difference(one: bytes, other: bytes) -> int:
    left, right = (np.frombuffer(each, "<i2").astype(np.int32) for each in (one, other))
    assert left.shape == right.shape
    return int(np.abs(left - right).max())


@pytest.mark.parametrize("listeners", [3, pytest.param(LISTENERS, marks=pytest.mark.soak)])
def test_many_at_once_sound_as_each_alone_in_the_steps_of_the_longest(listeners: int) -> None:
    jobs = [job(number, TEXTS[number % 4]) for number in range(listeners)]
    alone, steps = [], []
    for number, each in enumerate(jobs):
        # Each keeps its voice: it is chosen by its place.
        (*_, sound), took = asyncio.run(_alone(each, number))
        alone.append(sound)
        steps.append(took)
    sounds, took = asyncio.run(together(jobs))
    for one, other in zip(sounds, alone, strict=True):
        assert difference(one, other) <= MOST_LSB
    print(f"{listeners} at once: {took:.0f} steps; alone: {[int(each) for each in steps]}")
    assert took <= MOST_STEPS * max(steps)


async def _alone(spoken: SpeechJob, number: int) -> tuple[list[bytes], float]:
    settings = BatchSettings()
    async with BatchLoop(model(), settings, Context(HostLogger("xtts")), STEP_S) as batch:
        return [await heard(batch, spoken, rig().voices[number % 4])], batch.figures()["steps"]


def test_twelve_segments_of_one_job_are_spoken_side_by_side() -> None:
    one, took_one = asyncio.run(_alone(job(1, TEXTS[0]), 0))
    twelve, took_twelve = asyncio.run(_alone(job(1, *[TEXTS[0]] * 12), 0))
    print(f"one segment: {took_one:.0f} steps; twelve: {took_twelve:.0f}")
    assert len(twelve[0]) > len(one[0])
    assert took_twelve <= 3 * took_one


class _GatedModel(XttsModel):
    """A model that takes only so many steps as a test allows."""

    allowed: threading.Semaphore

    def step(self, rows: Sequence[XttsRow]) -> list[RowStep]:
        self.allowed.acquire()
        return super().step(rows)


def test_the_first_sound_is_heard_before_the_eleventh_code_exists() -> None:
    asyncio.run(_first_sound())


async def _first_sound() -> None:
    tiny = rig()
    gated = _GatedModel(tiny.checkpoint, tiny.reader, tiny.decoder(), VoiceBuilder(tiny.checkpoint, "cpu"))
    gated.allowed = threading.Semaphore(FIRST_CODES)
    async with BatchLoop(gated, BatchSettings(), Context(HostLogger("xtts")), STEP_S) as batch:
        # This one has more than a hundred codes.
        async with aclosing(batch.speak(job(106, TEXTS[0]), tiny.voices[0])) as events:
            async with asyncio.timeout(WAITS_S):
                async for event in events:
                    if isinstance(event, Audio):
                        break
            assert batch.figures()["steps"] <= FIRST_CODES
            gated.allowed.release(1_000)
            rest = [event async for event in events if isinstance(event, Audio)]
    assert len(rest) > 20
