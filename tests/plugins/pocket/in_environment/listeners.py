"""Listeners of a tiny model in the host's batch loop: what each of them asks for, and hears."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

import numpy as np

from plugins.pocket.model import STEP_S, PocketModel, PocketRow, Spoken
from speech_engine import Audio, Context, Sample, Samples, Segment, SpeechJob
from speech_engine.host.batch_loop import BatchLoop
from speech_engine.host.batch_model import BatchSettings
from speech_engine.host.log import HostLogger
from tests.plugins.pocket.in_environment.rig import TEXTS, rig

MOST_LSB = 2
LISTENERS = 6


def job(number: int, *texts: str, model: str = "mine", language: str = "en") -> SpeechJob:
    return SpeechJob(
        id=f"job-{number}",
        tenant="acc_1",
        model=model,
        voice=Samples((Sample(f"s{number % 3}"),)),
        segments=tuple(Segment(text, 0, len(text)) for text in texts),
        language=language,
        seed=number,
        estimated_s=sum(map(len, texts)) * 0.06,
    )


def spoken(number: int) -> Spoken:
    return Spoken(rig().model, rig().voices[number % 3])


async def heard(batch: BatchLoop[Spoken, PocketRow], each: SpeechJob, number: int) -> bytes:
    async with aclosing(batch.speak(each, spoken(number))) as events:
        return b"".join([event.pcm async for event in events if isinstance(event, Audio)])


async def together(numbers: Sequence[int]) -> list[bytes]:
    settings = BatchSettings(slots=LISTENERS, rows=LISTENERS, width=LISTENERS)
    async with BatchLoop(PocketModel(), settings, Context(HostLogger("pocket")), STEP_S) as batch:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(heard(batch, job(number, TEXTS[number % 5]), number)) for number in numbers
            ]
        return [task.result() for task in tasks]


def difference(one: bytes, other: bytes) -> int:
    left, right = (np.frombuffer(each, "<i2").astype(np.int32) for each in (one, other))
    assert left.shape == right.shape
    return int(np.abs(left - right).max())
