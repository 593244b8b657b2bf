"""A host in this process: an engine that does as told, behind the real server on a real Unix socket."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from speech_engine import (
    ANY_LANGUAGE,
    Audio,
    Clone,
    CloneInfo,
    CloneList,
    CloneRequest,
    CloneSample,
    DeleteVoice,
    Engine,
    EngineVoice,
    Event,
    Finished,
    Language,
    ModelInfo,
    Segment,
    SpeechJob,
    Started,
    VoiceInfo,
    VoiceNotFound,
)
from speech_engine.host.engine_stream import EngineStream
from speech_engine.host.pipe_messages import (
    Tick,
)
from speech_engine.host.pulse import Pulse
from speech_engine.host.sample_cache import SampleCache
from speech_engine.host.server import HostServer, serving
from speech_engine.host.slots import Slots
from tests.waiting import soon

RATE_HZ = 24_000
MODEL = ModelInfo(id="spoken", languages=(Language(ANY_LANGUAGE),), sample_rate_hz=RATE_HZ, licence="MIT")
CHUNK = bytes(4_800)

Speak = Callable[[SpeechJob], AsyncGenerator[Event, None]]


async def speak_briefly(job: SpeechJob) -> AsyncGenerator[Event, None]:
    yield Started(RATE_HZ)
    yield Audio(0, CHUNK)
    yield Finished(1.0)


async def speak_for_ever(job: SpeechJob) -> AsyncGenerator[Event, None]:
    yield Started(RATE_HZ)
    yield Audio(0, CHUNK)
    await asyncio.Event().wait()


class FakeEngine:
    """Speaks as `speak` says, and keeps the ids of the jobs it has begun."""

    def __init__(self, speak: Speak = speak_briefly, slots: int = 2) -> None:
        self.slots = slots
        self.jobs: list[str] = []
        self._speak = speak

    def models(self) -> tuple[ModelInfo, ...]:
        return (MODEL,)

    def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        self.jobs.append(job.id)
        return self._speak(job)


class Studio(FakeEngine):
    """Clones, deletes, converts and reads sounds; `voices_made` has the voices that live."""

    def __init__(self) -> None:
        super().__init__()
        self.voices_made: list[str] = []

    def voices(self) -> tuple[VoiceInfo, ...]:
        return ()

    async def clone(self, request: CloneRequest) -> str:
        self.voices_made.append(request.name)
        return request.name

    async def delete_voice(self, id: str) -> None:
        if id not in self.voices_made:
            raise VoiceNotFound("No such voice.")
        self.voices_made.remove(id)

    async def find_clone(self, name: str) -> str | None:
        return name if name in self.voices_made else None

    async def list_clones(self, prefix: str) -> CloneList:
        return CloneList(tuple(CloneInfo(each, each) for each in self.voices_made if each.startswith(prefix)))

    async def sounds(self, texts: Sequence[str], language: str) -> Sequence[str]:
        return [f"{language}: {text}" for text in texts]

    async def convert(self, job: SpeechJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        yield Started(RATE_HZ)
        async for piece in pcm:
            yield Audio(0, piece)
        yield Finished()


def clone(name: str) -> Clone:
    request = CloneRequest(name=name, samples=(CloneSample(b"RIFF"),))
    return Clone(id="work_1", tenant="acc_1", deadline_s=5.0, request=request)


def delete(voice: str) -> DeleteVoice:
    return DeleteVoice(id="work_2", tenant="acc_1", deadline_s=5.0, voice=voice)


class FakeLog:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def debug(self, event: str, **fields: Any) -> None:
        self.lines.append({"event": event, **fields})

    info = warning = debug


def ignore_tick(_tick: Tick) -> None:
    """Do nothing: the host has no supervisor."""


@contextmanager
def short_folder() -> Iterator[Path]:
    """For sockets: pytest's own folders may be too deep for them."""
    with tempfile.TemporaryDirectory(prefix="voxgate-", dir="/tmp") as folder:
        yield Path(folder)


@asynccontextmanager
async def host(
    engine: Engine,
    address: Path,
    queue: int = 8,
    tell: Callable[[Tick], None] = ignore_tick,
    sample_cache: SampleCache | None = None,
    pulse: Pulse | None = None,
) -> AsyncIterator[FakeLog]:
    log = FakeLog()
    slots = Slots(engine.slots, queue)
    server = HostServer(engine, slots, log, pulse or Pulse(tell), sample_cache=sample_cache)
    try:
        async with serving(server, str(address)):
            yield log
    finally:
        # The calls are cancelled by then, and their engines may need a moment to end.
        await soon(lambda: not slots.running)


def job(id_: str = "job_1", tenant: str = "acc_1", deadline_s: float = 5.0) -> SpeechJob:
    return SpeechJob(
        id=id_,
        tenant=tenant,
        model=MODEL.id,
        voice=EngineVoice("anyone"),
        segments=(Segment("Canary.", 0, 7),),
        language="en",
        deadline_s=deadline_s,
    )


async def read(stream: EngineStream) -> list[Event]:
    """Return all events of a stream, and close it."""
    events = []
    try:
        while (event := await stream.next_event()) is not None:
            events.append(event)
    finally:
        await stream.close()
    return events
