"""A host's own server with silence for speech, on a local socket: `bench.links` starts it.

A job's `extra` tells how many pieces of how many milliseconds it has. At `pace` 1.0 they come as fast as they
are played, and at 0.0 as fast as they are read.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator

import uvloop

from speech_engine import Audio, Event, Finished, ModelInfo, SpeechJob, Started
from speech_engine.host.log import HostLogger
from speech_engine.host.pulse import Pulse
from speech_engine.host.server import HostServer, serving
from speech_engine.host.slots import Slots
from speech_engine.models import Language

RATE_HZ = 24_000


class Silence:
    slots = 80

    def models(self) -> tuple[ModelInfo, ...]:
        return (ModelInfo(id="m", languages=(Language("en"),), sample_rate_hz=RATE_HZ),)

    def voices(self) -> tuple[()]:
        return ()

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        count, piece_ms, pace = (job.extra[name] for name in ("count", "piece_ms", "pace"))
        piece, began = bytes(2 * RATE_HZ // 1000 * piece_ms), time.monotonic()
        yield Started(RATE_HZ)
        for number in range(1, count + 1):
            yield Audio(0, piece)
            await asyncio.sleep(max(0.0, began + number * piece_ms / 1000 * pace - time.monotonic()))
        yield Finished()


async def main() -> None:
    engine = Silence()
    server = HostServer(engine, Slots(engine.slots, 64), HostLogger("silence"), Pulse(lambda _tick: None))
    async with serving(server, sys.argv[1]) as transport:
        print("ready", flush=True)
        await transport.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(main())
