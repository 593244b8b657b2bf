"""Cloud engines of scripts: a script for each job that a key is given, and metrics that write down."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import msgspec
from prometheus_client import CollectorRegistry

from proxy.engines.providers.cloud_engine import CloudEngine
from proxy.engines.providers.provider_key import ProviderKey, ProviderPace
from proxy.telemetry.metrics import EngineMetrics
from speech_engine import Audio, Engine, EngineVoice, Event, ModelInfo, Segment, Speak, SpeechJob, VoiceInfo
from speech_engine.host.engine_stream import EngineStream
from speech_engine.host.slots import Slots
from tests.proxy.api.scripted import Scripted, Step, spoken
from tests.speech_engine.host.fakes import read
from tests.waiting import forever

WELL = tuple(spoken(0.1))


SILENT = (forever,)
"""It is asked, and says nothing."""


class Turns:
    """Each job takes the next script; the last one stays. `asked` is set by every job."""

    def __init__(self, *scripts: Sequence[Step], slots: int = 2, **model: object) -> None:
        self.slots = slots
        self.jobs: list[SpeechJob] = []
        self.asked = asyncio.Event()
        self._scripts = [Scripted(*script, **model) for script in scripts]

    @property
    def open(self) -> int:
        return sum(script.open for script in self._scripts)

    def models(self) -> tuple[ModelInfo, ...]:
        return self._scripts[0].models()

    def voices(self) -> tuple[VoiceInfo, ...]:
        return self._scripts[0].voices()

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        script = self._scripts[min(len(self.jobs), len(self._scripts) - 1)]
        self.jobs.append(job)
        self.asked.set()
        async with aclosing(script.speak(job)) as events:
            async for event in events:
                yield event


class RecordedMetrics(EngineMetrics):
    """Metrics that a test can read in their order. `woke` is set when a breaker closes."""

    def __init__(self) -> None:
        super().__init__(CollectorRegistry())
        self.retries: list[str] = []
        self.alarms: list[str] = []
        self.resting: list[tuple[int, bool]] = []
        self.woke = asyncio.Event()

    def count_retry(self, engine: str, error: str) -> None:
        super().count_retry(engine, error)
        self.retries.append(f"{engine} {error}")

    def count_alarm(self, engine: str, error: str) -> None:
        super().count_alarm(engine, error)
        self.alarms.append(f"{engine} {error}")

    def set_breaker(self, engine: str, key: int, is_open: bool) -> None:
        super().set_breaker(engine, key, is_open)
        self.resting.append((key, is_open))
        if not is_open:
            self.woke.set()


def cloud_engine(
    *engines: Engine,
    metrics: RecordedMetrics | None = None,
    queue: int = 64,
    rpm: int | None = None,
    pace: ProviderPace | None = None,
    credentials: Sequence[str] = (),
) -> CloudEngine:
    """Return a cloud engine with a key for each script. `credentials` has their labels."""
    metrics = metrics or RecordedMetrics()
    labels = credentials or ["default"] * len(engines)
    keys = [
        ProviderKey(
            "cloud", number, each, Slots(each.slots, queue), pace or ProviderPace(rpm), metrics, label
        )
        for number, (each, label) in enumerate(zip(engines, labels, strict=True), 1)
    ]
    return CloudEngine("cloud", keys, metrics)


def job(deadline_s: float = 5.0, tenant: str = "acc_1", credential: str = "") -> SpeechJob:
    return SpeechJob(
        id="req_1",
        tenant=tenant,
        model="m",
        voice=EngineVoice("v"),
        segments=(Segment("Hello.", 0, 6),),
        language="en",
        deadline_s=deadline_s,
        credential=credential,
    )


def speech(engine: CloudEngine, request: SpeechJob | None = None) -> EngineStream:
    return engine.open(Speak(request or job()))


async def count_audio(engine: CloudEngine, request: SpeechJob | None = None) -> int:
    """Speak a job and return how many bytes of audio came."""
    events = await read(speech(engine, request))
    return sum(len(event.pcm) for event in events if isinstance(event, Audio))


def later(engine: CloudEngine, seconds: float = 1000.0) -> None:
    """As if so much time had gone by since its breakers opened."""
    for key in engine.keys:
        if key.breaker.is_closed:
            continue
        key.breaker = msgspec.structs.replace(key.breaker, since=key.breaker.since - seconds)
