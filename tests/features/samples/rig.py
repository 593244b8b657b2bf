"""Workers with samples: a clock in place of the quiet seconds, and what engines were asked for."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from proxy.features.samples.folder import SampleFolder
from proxy.features.samples.shown import ShownSamples
from proxy.features.samples.worker import SampleWorker
from speech_engine import Event, Finished, Started, VoiceInfo
from speech_engine.values import SpeechJob
from tests.proxy.api.inside import Inside, inside
from tests.proxy.api.scripted import RATE_HZ, Halt, Scripted, sound

CONFIG = """
[server]
default_model = "one"
public_catalogue = {public}
[engines.one]
[models]
tts-1 = ["one/m"]
one = ["one/m"]
{more}
"""
VOICES = (
    VoiceInfo(id="af_heart", name="af_heart", language="en-US", gender="female"),
    VoiceInfo(id="am_eric", name="am_eric", language="en-US", gender="male"),
    VoiceInfo(id="pf_dora", name="pf_dora", language="pt-BR", gender="female"),
    VoiceInfo(id="fi_aino", name="fi_aino", language="fi", gender="female"),
)


class Singer(Scripted):
    """Sings a tone for any voice. `halt` holds its sound, if there is one."""

    def __init__(self, voices: tuple[VoiceInfo, ...] = VOICES, seconds: float = 1.0, **model: object) -> None:
        super().__init__(**{"is_trained": True, **model})
        self.halt: Halt | None = None
        self._voices, self._seconds = voices, seconds

    def voices(self) -> tuple[VoiceInfo, ...]:
        return self._voices

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        self.jobs.append(job)
        self.open += 1
        try:
            yield Started(RATE_HZ)
            if self.halt is not None and job.urgency == "idle":
                await self.halt()
            for event in sound(self._seconds):
                yield event
            yield Finished()
        finally:
            self.open -= 1


class Sampling(NamedTuple):
    server: Inside
    worker: SampleWorker
    samples: ShownSamples
    store: SampleFolder
    engine: Singer

    async def make(self) -> None:
        """Make all that is wanted: nobody has spoken for long."""
        self.worker.quiet_s = 0.0
        await self.worker.make_wanted()

    async def voices(self) -> dict[str, dict[str, object]]:
        listed = (await self.server.ask("GET", "/v1/audio/voices")).json()["data"]
        return {each["id"]: each for each in listed}


@asynccontextmanager
async def sampling(
    folder: Path, engine: Singer | None = None, more: str = "", public: str = "false", name: str = "ada"
) -> AsyncIterator[Sampling]:
    singer = engine or Singer()
    async with inside(folder, CONFIG.format(more=more, public=public), {"one": singer}, name=name) as server:
        context = server.worker.open_features.context
        samples, worker = context.find(ShownSamples), context.find(SampleWorker)
        yield Sampling(server, worker, samples, worker.folder, singer)
