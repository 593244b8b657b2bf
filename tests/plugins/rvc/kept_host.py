"""A host of RVC in its environment, kept as the supervisor keeps it, and conversions through it."""

import asyncio
import hashlib
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import pi, sin
from typing import Any

import msgspec

from plugins.rvc.plugin import HOSTED
from policies.device_reservations import DeviceReservations
from proxy.config.sections import EngineSection
from proxy.engines.registry import HostedEngineSpec
from proxy.hosts.host import EngineSuspects, Host, Python, sockets_in
from proxy.hosts.hosted import HostedEngine
from speech_engine import Audio, Convert, Event, SpeechJob, Started, Trained
from speech_engine.pcm import PcmInMemory
from tests.plugins import neural
from tests.proxy.engines.sources import Recordings
from tests.speech_engine.host.fakes import read, short_folder
from tests.waiting import soon

SOURCE_HZ = 24_000
TENANT = "acc_1"
RATES_HZ = (40_000, 40_000, 40_000, 40_000, 48_000)
"""Those of the tiny voices, in their order."""

_LOADED_S = 60.0


class KeptHost:
    """The engine as a worker has it, and the process that the supervisor keeps for it."""

    def __init__(self, engine: HostedEngine, host: Host, source: Recordings, files: list[bytes]) -> None:
        self.engine = engine
        self.host = host
        self.source = source
        self.voices = [Trained(hashlib.sha256(file).hexdigest()) for file in files]
        self._count = 0

    @property
    def lives(self) -> int:
        """How many processes there have been."""
        return self.host.supervisor.generation

    def kill(self) -> None:
        child = self.host.supervisor.child
        assert child is not None
        child.kill()

    def job(self, voice: int, pcm: bytes, **more: Any) -> SpeechJob:
        self._count += 1
        job = SpeechJob(
            id=f"job_{self._count}",
            tenant=TENANT,
            model="standard",
            voice=self.voices[voice],
            segments=(),
            language="*",
            seed=1,
            estimated_s=len(pcm) / 2 / SOURCE_HZ,
            deadline_s=60.0,
        )
        return msgspec.structs.replace(job, **more)

    def open(self, voice: int, pcm: bytes, **more: Any) -> Any:
        return self.engine.open(Convert(self.job(voice, pcm, **more)), pcm=PcmInMemory(pcm, SOURCE_HZ))

    async def convert(self, voice: int, pcm: bytes, **more: Any) -> list[bytes]:
        """Return the sound of a conversion in the pieces in which it came."""
        return pieces_of(await read(self.open(voice, pcm, **more)), RATES_HZ[voice])


def pieces_of(events: list[Event], rate_hz: int) -> list[bytes]:
    assert events[0] == Started(rate_hz)
    return [event.pcm for event in events if isinstance(event, Audio)]


@asynccontextmanager
async def kept_host(*more: bytes, **settings: Any) -> AsyncIterator[KeptHost]:
    """Give a host with tiny networks, and `more` voices, once it is ready. Skips the test where the
    environment is absent."""
    model = neural.kept_model("rvc")
    files = [(model / f"voice_{number}.safetensors").read_bytes() for number in range(len(RATES_HZ))]
    files += more
    source = Recordings(**{TENANT: {hashlib.sha256(file).hexdigest(): file for file in files}})
    section = EngineSection("rvc", device="cpu", settings={"model_path": str(model), **settings})
    python = Python(neural.interpreter("rvc"), neural.environ(neural.ROOT))
    with short_folder() as folder:
        engine = HostedEngine("rvc", source)
        spec = HostedEngineSpec("rvc", HOSTED, section, data=str(folder))
        host = Host(
            spec,
            0,
            python,
            sockets_in(folder),
            engine.update_host,
            EngineSuspects("rvc", b"k" * 32),
            DeviceReservations(),
        )
        async with asyncio.TaskGroup() as group:
            host.supervise(group)
            try:
                await soon(lambda: engine.state == "ready", within_s=_LOADED_S)
                yield KeptHost(engine, host, source, files)
            finally:
                await engine.close()
                await host.unload(0.0)


def recording(seconds: float, number: int = 0) -> bytes:
    """A voice-like sound: a moving pitch with pauses, another one for each number."""
    phase, made = 0.0, array("h")
    for at in range(round(seconds * SOURCE_HZ)):
        moment = at / SOURCE_HZ
        phase += 2 * pi * (140 + 12 * number + 40 * sin((4.4 + 0.3 * number) * moment)) / SOURCE_HZ
        is_loud = sin(9.4 * moment) > -0.6
        made.append(round(2_500 * is_loud * sum(sin(part * phase) / part for part in range(1, 6))))
    return made.tobytes()
