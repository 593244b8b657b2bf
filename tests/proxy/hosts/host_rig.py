"""Hosts as a worker meets them: states told by hand, and processes that answer wrongly or not at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from proxy.engines.sample_source import NO_SOURCE, SampleSource
from proxy.hosts.hosted import HostedEngine
from speech_engine import API_VERSION, Event, Speak, SpeechJob
from speech_engine.host import messages
from speech_engine.host.messages import HOST_API, Hello, HelloReply
from speech_engine.host.pipe_messages import (
    HostState,
)
from tests.speech_engine.host.fakes import MODEL, read
from tests.waiting import soon


def state(
    address: Path | str,
    name: str = "ready",
    *,
    process: int = 0,
    reason: str = "",
    begun: tuple[str, ...] = (),
    killer: str = "",
) -> HostState:
    return HostState("fake", process, 1, name, reason, str(address), begun, killer)


@asynccontextmanager
async def hosted(*addresses: Path, source: SampleSource = NO_SOURCE) -> AsyncIterator[HostedEngine]:
    """An engine that has been told of a ready process for each address, and has greeted them all."""
    engine = HostedEngine("fake", source)
    try:
        for process, address in enumerate(addresses):
            engine.update_host(state(address, process=process))
        await soon(lambda: len(engine._processes) == len(addresses))
        yield engine
    finally:
        async with asyncio.timeout(10.0):
            await engine.close()


async def spoken(engine: HostedEngine, job: SpeechJob) -> list[Event]:
    return await read(engine.open(Speak(job)))


class _Odd(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio ships no types
    """Says Hello in the given version; what it answers to Run are these bytes, whatever they mean."""

    def __init__(
        self, version: int, answers: tuple[bytes, ...], host_api: int = HOST_API, hello: bytes = b""
    ) -> None:
        self._hello = hello
        self._version = version
        self._host_api = host_api
        self._answers = answers

    def service(self, details: Any) -> Any:
        async def hello(_asked: Hello, _call: Any) -> bytes:
            reply = HelloReply(self._version, 4, (MODEL,), (), host_api=self._host_api)
            return self._hello or messages.encode(reply)

        async def speak(_job: bytes, _call: Any) -> AsyncIterator[bytes]:
            for answer in self._answers:
                yield answer

        if details.method == messages.method("Hello"):
            return grpc.unary_unary_rpc_method_handler(hello, messages.decoder(Hello), None)
        return grpc.unary_stream_rpc_method_handler(speak, None, None) if self._answers else None


@asynccontextmanager
async def odd_host(
    address: Path,
    *,
    version: int = API_VERSION,
    host_api: int = HOST_API,
    answers: tuple[bytes, ...] = (),
    hello: bytes = b"",
) -> AsyncIterator[None]:
    transport = grpc.aio.server()
    transport.add_generic_rpc_handlers((_Odd(version, answers, host_api, hello),))
    transport.add_insecure_port(f"unix:{address}")
    await transport.start()
    try:
        yield
    finally:
        await transport.stop(None)


@asynccontextmanager
async def babbling(address: Path, answer: bytes) -> AsyncIterator[None]:
    """Listens where a host should, but says `answer` to everybody and hangs up."""

    async def answer_all(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    async with await asyncio.start_unix_server(answer_all, address):
        yield
