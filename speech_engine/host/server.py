"""The host's side of the protocol: an engine behind its slots, its queue and its spools."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import grpc

from speech_engine import Engine
from speech_engine.host import messages
from speech_engine.host.pulse import Pulse
from speech_engine.host.queue import FairQueue
from speech_engine.host.running import introduction, spooled
from speech_engine.plugin import Logger
from speech_engine.values import SpeechJob


class HostServer:
    """Answers Hello, Health and Speak for one engine."""

    def __init__(self, engine: Engine, queue: FairQueue, log: Logger, pulse: Pulse) -> None:
        self._engine = engine
        self._welcome = introduction(engine)
        self._queue = queue
        self._log = log
        self._pulse = pulse

    def __repr__(self) -> str:
        return f"<HostServer {self._queue!r}>"

    async def hello(self, _hello: messages.Hello, _call: Any) -> messages.HelloReply:
        return self._welcome

    async def health(self, _question: messages.HealthQuestion, _call: Any) -> messages.HealthReport:
        return self._queue.health()

    async def speak(self, job: SpeechJob, call: Any) -> AsyncIterator[messages.Frame]:
        # At once, so that the server knows who has the job if this process dies.
        await call.send_initial_metadata(((messages.TAKEN, "1"),))
        # Closed when the server cancels too: the slot must be free before this call is over.
        async with aclosing(spooled(self._engine, self._queue, job, self._log, self._pulse)) as frames:
            async for frame in frames:
                yield frame


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio ships no types
    def __init__(self, server: HostServer) -> None:
        unary, stream = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
        decoder, encode = messages.decoder, messages.encode
        self._methods = {
            messages.method("Hello"): unary(server.hello, decoder(messages.Hello), encode),
            messages.method("Health"): unary(server.health, decoder(messages.HealthQuestion), encode),
            messages.method("Speak"): stream(server.speak, decoder(SpeechJob), encode),
        }

    def service(self, details: Any) -> Any:
        return self._methods.get(details.method)


@asynccontextmanager
async def serving(server: HostServer, address: str) -> AsyncIterator[Any]:
    """Serve on a Unix socket while the block runs; yield the transport, whose `stop(grace)` drains."""
    transport = grpc.aio.server(options=messages.CHANNEL_OPTIONS)
    transport.add_generic_rpc_handlers((_Handlers(server),))
    transport.add_insecure_port(f"unix:{address}")
    await transport.start()
    try:
        yield transport
    finally:
        await transport.stop(None)
