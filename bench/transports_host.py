"""A host of paced silence, for bench.transports: `python -m bench.transports_host ADDRESS FOLDER`."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import grpc
import msgspec

from speech_engine import ANY_LANGUAGE, Audio, Event, Finished, Language, ModelInfo, SpeechJob, Started
from speech_engine.host import messages
from speech_engine.host.cluster_messages import HostTls
from speech_engine.host.log import HostLogger
from speech_engine.host.pulse import Pulse
from speech_engine.host.server import HostServer, serving
from speech_engine.host.slots import Slots

RATE_HZ = 24_000
BYTES_A_MS = 2 * RATE_HZ // 1000
CANCELLED, AHEAD = "/bench.Host/Cancelled", "/bench.Host/Ahead"


class Cancelled(msgspec.Struct):
    at: float


class Written(msgspec.Struct):
    bytes: int


class Silence:
    """An engine of silence. `ended` has when each call was over."""

    slots = 64

    def __init__(self) -> None:
        self.ended: defaultdict[str, asyncio.Future[float]] = defaultdict(asyncio.Future)

    def models(self) -> tuple[ModelInfo, ...]:
        languages = (Language(ANY_LANGUAGE),)
        return (ModelInfo(id="silence", languages=languages, sample_rate_hz=RATE_HZ, licence="MIT"),)

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        pieces, ms, pace = (job.extra[name] for name in ("pieces", "ms", "pace"))
        began, piece = time.monotonic(), bytes(BYTES_A_MS * ms)
        try:
            yield Started(RATE_HZ)
            for number in range(1, pieces + 1):
                yield Audio(0, piece)
                await asyncio.sleep(max(0.0, began + number * ms / 1000 * pace - time.monotonic()))
            yield Finished(1.0)
        finally:
            self.ended[job.id].set_result(time.monotonic())


class CountedHost(HostServer):
    """Counts the bytes of audio that were written for each call."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.written = Counter[str]()

    async def run(self, begin: messages.Input, call: Any) -> None:
        assert isinstance(begin, messages.Begin)
        await super().run(begin, _CountedCall(call, begin.call, self.written))


class _CountedCall:
    def __init__(self, call: Any, name: str, written: Counter[str]) -> None:
        self._call, self._name, self._written = call, name, written

    def add_done_callback(self, callback: Any) -> None:
        self._call.add_done_callback(callback)

    async def write(self, frame: messages.Frame) -> None:
        await self._call.write(frame)
        self._written[self._name] += len(frame.pcm) if isinstance(frame, Audio) else 0


class _Figures(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio ships no types
    def __init__(self, engine: Silence, host: CountedHost) -> None:
        self._engine, self._host = engine, host

    def service(self, details: Any) -> Any:
        handler = {CANCELLED: self._cancelled, AHEAD: self._ahead}.get(details.method)
        return handler and grpc.unary_unary_rpc_method_handler(
            handler, messages.decoder(str), messages.encode
        )

    async def _cancelled(self, name: str, _call: Any) -> Cancelled:
        return Cancelled(await self._engine.ended[name])

    async def _ahead(self, name: str, _call: Any) -> Written:
        return Written(self._host.written[name])


async def main(address: str, folder: str) -> None:
    def read(name: str) -> bytes:
        return (Path(folder) / name).read_bytes()

    tls = HostTls(read("host.pem"), read("host.key"), read("gateways-authority.pem")) if folder else None
    engine = Silence()
    server = CountedHost(engine, Slots(engine.slots, 64), HostLogger("silence"), Pulse(lambda _tick: None))
    async with serving(server, address, tls) as transport:
        transport.add_generic_rpc_handlers((_Figures(engine, server),))
        print("ready", flush=True)
        await transport.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
