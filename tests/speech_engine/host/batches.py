"""A batch loop with the toy model, and those who listen to it."""

import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

import msgspec

from speech_engine import Audio, Context, EngineVoice, Segment, SpeechJob
from speech_engine.host.batch_loop import BatchLoop
from speech_engine.host.batch_model import BatchSettings
from tests.speech_engine.host.fakes import FakeLog
from tests.speech_engine.host.toy_model import STEP_S, ToyModel, ToyRow

Batch = BatchLoop[str, ToyRow]


class Host:
    """What a batch tells its host. `ended` has the reasons to end it."""

    def __init__(self) -> None:
        self.log = FakeLog()
        self.ticks = 0
        self.ended: list[str] = []

    def tick(self) -> None:
        self.ticks += 1

    @property
    def context(self) -> Context:
        return Context(self.log, self.tick, give_up=self.ended.append)


@asynccontextmanager
async def batch(model: ToyModel, host: Host | None = None, **settings: Any) -> AsyncIterator[Batch]:
    context = (host or Host()).context
    async with BatchLoop(model, msgspec.convert(settings, BatchSettings), context, STEP_S) as loop:
        yield loop


def job(id_: str, *texts: str, seed: int | None = 1, voice: str = "anyone", **more: Any) -> SpeechJob:
    segments = tuple(Segment(text, 0, len(text)) for text in texts)
    estimated_s = sum(map(len, texts)) * STEP_S
    return SpeechJob(
        id=id_,
        tenant="acc_1",
        model="toy",
        voice=EngineVoice(voice),
        segments=segments,
        language="en",
        seed=seed,
        estimated_s=estimated_s,
        **more,
    )


async def hear(loop: Batch, job: SpeechJob) -> bytes:
    """Return the whole sound of a job. The segments must come in order."""
    pcm, last = [], 0
    async with aclosing(loop.speak(job, _voice(job))) as events:
        async for event in events:
            if isinstance(event, Audio):
                assert event.segment >= last
                last = event.segment
                pcm.append(event.pcm)
    return b"".join(pcm)


def _voice(job: SpeechJob) -> str:
    assert isinstance(job.voice, EngineVoice)
    return job.voice.id


class StepGate:
    """Lets a model take steps only as a test says."""

    def __init__(self) -> None:
        self._allowed = threading.Semaphore(0)
        self._is_open = False

    def __call__(self, _rows: Sequence[ToyRow]) -> None:
        if not self._is_open:
            self._allowed.acquire()

    def allow(self, steps: int) -> None:
        self._allowed.release(steps)

    def open(self) -> None:
        self._is_open = True
        self._allowed.release()
