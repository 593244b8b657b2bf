"""The host's side of the protocol: an engine behind its slots, its queue and its spools."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import msgspec

from speech_engine import Engine
from speech_engine.device import CPU, Device
from speech_engine.errors import EngineError, EngineFailed, EngineUnavailable, VoiceNotFound
from speech_engine.host import messages
from speech_engine.host.devices import peak_gb
from speech_engine.host.engine_stream import SlotStream
from speech_engine.host.messages import Begin, Failed, MissingSamples, Pcm
from speech_engine.host.pulse import Pulse
from speech_engine.host.sample_cache import DROPPED, SampleCache, SampleLoan
from speech_engine.host.slots import Slots
from speech_engine.host.spool import Spool, SpoolQuota
from speech_engine.host.suspects import Suspects
from speech_engine.plugin import Logger
from speech_engine.values import SpeechJob
from speech_engine.work import job_with_samples

LAST_BYTES_S = 0.25
"""The last bytes of a call leave the process a moment after gRPC says that the call is over."""

LAST_FRAMES_S = 10.0
"""The longest time that a reader needs for the last frames of a call with input."""


class HostServer:
    """Answers Hello and Health, keeps recordings and runs work, for one engine. See `_Handlers`."""

    def __init__(
        self,
        engine: Engine,
        slots: Slots,
        log: Logger,
        pulse: Pulse,
        suspects: Suspects | None = None,
        sample_cache: SampleCache | None = None,
        device: Device = CPU,
    ) -> None:
        self._device = device
        self._suspects = suspects or Suspects()
        self._sample_cache = sample_cache or SampleCache()
        self._spool_quota = SpoolQuota()
        self._engine = engine
        self.hello_reply = messages.hello_of(engine)
        self._slots = slots
        self._log = log
        self._pulse = pulse
        self._working: dict[asyncio.Task[None], Spool] = {}

    async def forget_all(self) -> None:
        """Stop all work and forget all recordings. When this returns, the engine has none either."""
        for filling, spool in self._working.items():
            filling.cancel()
            # A task that was cancelled before its first step ends no spool.
            spool.end()
        if self._working:
            await asyncio.wait([*self._working])
        for ending in self._sample_cache.drop_all():
            await ending

    async def hello(self, _hello: messages.Hello, _call: Any) -> messages.HelloReply:
        return self.hello_reply

    async def health(self, _question: messages.HealthQuestion, _call: Any) -> messages.HealthReport:
        return msgspec.structs.replace(
            self._slots.health(),
            device=str(self._device),
            memory_gb=round(peak_gb(self._device), 3),
            figures=self._pulse.figures(),
            wait_s=self._slots.wait_s(),
        )

    async def put(self, sample: messages.PutSample, _call: Any) -> messages.PutReply:
        wanted_hz = {model.id: model.sample_hz for model in self.hello_reply.models}.get(sample.model)
        try:
            if sample.rate_hz != wanted_hz:
                raise EngineFailed(f"The model reads recordings at {wanted_hz} Hz, not {sample.rate_hz}.")
            self._sample_cache.receive(sample)
        except EngineError as error:
            return messages.PutReply(Failed.of(error))
        return messages.PutReply()

    async def drop(self, samples: messages.DropSamples, _call: Any) -> messages.DropReply:
        for ending in self._sample_cache.drop(samples.digests):
            await ending
        return messages.DropReply()

    async def run(self, begin: messages.Input, call: Any) -> None:
        if isinstance(begin, Begin):
            await self._answer(begin, None, call)

    async def run_with_input(self, _inputs: Any, call: Any) -> None:
        begin = await call.read()
        if isinstance(begin, Begin):
            pcm = _CallInput(call, begin.call, self._pulse)
            await self._answer(begin, pcm, call)
            if not pcm.is_over:
                # Were this call over before its input is, gRPC could lose the frames that were just written.
                # The reader of the last one closes the call, and that ends this wait.
                await asyncio.sleep(LAST_FRAMES_S)

    async def _answer(self, begin: Begin, pcm: AsyncIterator[bytes] | None, call: Any) -> None:
        """Write the frames while the engine runs ahead into a spool: a slow reader holds no slot."""
        job = job_with_samples(begin.work)
        if job is not None and (missing := self._sample_cache.missing(job)):
            await call.write(MissingSamples(missing))
            return
        spool, reading = Spool(self._spool_quota), _AnswerReading(self._slots)
        call.add_done_callback(reading.end)
        filling = asyncio.create_task(self._fill(spool, begin, pcm, reading))
        self._working[filling] = spool
        filling.add_done_callback(self._working.pop)
        loan = None if job is None else self._lend(job, filling, spool)
        try:
            while (frame := await spool.next_frame()) is not None:
                if loan is not None and loan.is_dropped:
                    break
                await call.write(frame)
            if loan is not None and loan.is_dropped:
                await call.write(Failed.of(VoiceNotFound(DROPPED)))
            elif filling.cancelled() or filling.cancelling():
                await call.write(Failed.of(EngineUnavailable("The host has stopped its work.")))
        finally:
            # The slot must be free before this call is over, also when the server cancels it.
            filling.cancel()
            try:
                await asyncio.wait([filling])
            finally:
                spool.close()
            if not filling.cancelled() and (fault := filling.exception()) is not None:
                self._log.warning("host.answer.failed", error=type(fault).__name__)

    def _lend(self, job: SpeechJob, filling: asyncio.Task[None], spool: Spool) -> SampleLoan:
        """Lend the job its recordings until the engine has ended. A drop stops the engine."""

        def stop() -> None:
            filling.cancel()
            # A task that was cancelled before its first step ends no spool.
            spool.end()

        loan = self._sample_cache.lend(job, stop)
        filling.add_done_callback(lambda _filling: loan.end())
        return loan

    async def _fill(
        self, spool: Spool, begin: Begin, pcm: AsyncIterator[bytes] | None, reading: _AnswerReading
    ) -> None:
        digest = self._suspects.digest(begin.work)

        def on_dispatch(_is_dispatched: bool) -> None:
            self._pulse.begin(begin.call, digest, is_alone=stream.runs_alone)
            reading.begin()

        async def put(frame: messages.Frame) -> None:
            if not spool.is_full:
                await spool.put(frame)
                return
            # The reader is slow. Without this pause, a host whose spools are full would count as frozen.
            with self._pulse.waiting(begin.call):
                await spool.put(frame)

        stream = SlotStream(self._engine, self._slots, begin.work, self._log, on_dispatch, pcm)
        is_whole = False
        try:
            stream.runs_alone = self._suspects.runs_alone(begin.work, digest) or begin.alone
            while (event := await stream.next_event()) is not None:
                self._pulse.tick()
                await put(event)
            is_whole = True
        except EngineError as error:
            await put(Failed.of(error))
        finally:
            try:
                await stream.close()
            finally:
                self._pulse.end(begin.call, is_whole=is_whole)
                spool.end()


class _AnswerReading:
    """The time from a job's dispatch until its call is over: until then, frames may be on the way."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._is_counted = False
        self._is_over = False

    def begin(self) -> None:
        if not self._is_over:
            self._is_counted = True
            self._slots.begin_answer()

    def end(self, _call: object) -> None:
        self._is_over = True
        if self._is_counted:
            asyncio.get_running_loop().call_later(LAST_BYTES_S, self._slots.end_answer)


class _CallInput:
    """The recording that comes in over a call, as an engine reads it."""

    def __init__(self, call: Any, name: str, pulse: Pulse) -> None:
        self.is_over = False
        self._call = call
        self._name = name
        self._pulse = pulse

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        with self._pulse.waiting(self._name):
            message = await self._call.read()
        if not isinstance(message, Pcm):
            self.is_over = True
            raise StopAsyncIteration
        return message.data


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio ships no types
    def __init__(self, server: HostServer) -> None:
        unary, stream = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
        both = grpc.stream_stream_rpc_method_handler
        decoder, encode = messages.decoder, messages.encode
        self._methods = {
            messages.method("Hello"): unary(server.hello, decoder(messages.Hello), encode),
            messages.method("Health"): unary(server.health, decoder(messages.HealthQuestion), encode),
            messages.method(messages.PUT): unary(server.put, decoder(messages.PutSample), encode),
            messages.method(messages.DROP): unary(server.drop, decoder(messages.DropSamples), encode),
            messages.method(messages.RUN): stream(server.run, decoder(messages.Input), encode),
            messages.method(messages.RUN_WITH_INPUT): both(
                server.run_with_input, decoder(messages.Input), encode
            ),
        }

    def service(self, details: Any) -> Any:
        return self._methods.get(details.method)


@asynccontextmanager
async def serving(server: HostServer, address: str) -> AsyncIterator[Any]:
    """Serve on an address while the block runs; yield the transport, whose `stop(grace)` drains.

    Raises RuntimeError if another process has the port.
    """
    # Otherwise the kernel would divide the connections between two processes on one port.
    transport = grpc.aio.server(options=[*messages.CHANNEL_OPTIONS, ("grpc.so_reuseport", 0)])
    transport.add_generic_rpc_handlers((_Handlers(server),))
    transport.add_insecure_port(messages.target(address))
    await transport.start()
    try:
        yield transport
    finally:
        await transport.stop(None)
