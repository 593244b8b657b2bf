"""One host process as a worker sees it: its channel, its calls and its end."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import grpc
import structlog

from proxy.errors import HostLost
from proxy.hosts.process_choice import jobs_of_another
from speech_engine import API_VERSION, EngineUnavailable
from speech_engine.host import messages
from speech_engine.host.cluster_messages import ProcessJobs
from speech_engine.host.figure_sums import add_figures
from speech_engine.host.messages import Begin, DropReply, DropSamples, Frame, Input, Pcm, PutReply, PutSample
from speech_engine.host.pipe_messages import HostState

HELLO_S = 5.0
HELLO_AGAIN_S = 0.2
LONGEST_AGAIN_S = 10.0

DEATH_S = 5.0
"""The longest wait for the supervisor's word on a host whose connection has broken."""

PUT_S = 10.0
"""The longest time for one recording to reach a host."""

DROP_S = 10.0
"""The longest time for a host to forget a recording: it ends the jobs that use it first."""

_log = structlog.get_logger()
_numbers = itertools.count(1)
_decode_frame = messages.decoder(Frame)

_FAR_AHEAD_BYTES = 256 * 1024
"""A connection carries about so much a round trip: 30 streams over 150 ms, where the 64 KiB of a local host
carry 11. A stream whose reader has stopped holds as much here."""
_FAR_OPTIONS = [
    ("grpc.max_receive_message_length", 2 * 1024 * 1024),
    ("grpc.http2.lookahead_bytes", _FAR_AHEAD_BYTES),
]
_FAR_OPTIONS += [(name, value) for name, value in messages.CHANNEL_OPTIONS if name not in dict(_FAR_OPTIONS)]
_DEATHS = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
_DEATHS_WITH_INPUT = (*_DEATHS, grpc.StatusCode.INTERNAL)
"""The errors of gRPC for a message to a dead host: it fails before any answer."""


class HelloRefused(Exception):
    """The host is of another version, or describes itself in a way that cannot be read."""


class HostProcess:
    """One ready host process and its `channel`. `died` is set when the supervisor has seen its end.

    `on_end` is called when a call has ended. Each start of a process has its own `number`. A process that
    `is_leaving` takes no new calls. `place` is "" on this machine, else it has the machine and the address.
    """

    hello: messages.HelloReply

    def __init__(self, channel: Any, on_end: Callable[[], None], place: str = "") -> None:
        self._on_end = on_end
        self.place = place
        self.is_leaving = False
        self.is_lost = False
        self.has_crashed = False
        self.number = next(_numbers)
        self.running = 0
        self._jobs_of_others = 0.0
        self.tenants: Counter[str] = Counter()
        self._begun_calls: frozenset[str] = frozenset()
        self.killer = ""
        self.died = asyncio.Event()
        self._channel = channel
        self._run = self._channel.unary_stream(messages.method(messages.RUN), messages.encode, _decode_frame)
        # Without a decoder, the call gives bytes: gRPC would hide why a message cannot be decoded.
        self._call_hello = self._channel.unary_unary(messages.method("Hello"), messages.encode, None)
        self._run_with_input = self._channel.stream_stream(
            messages.method(messages.RUN_WITH_INPUT), messages.encode, _decode_frame
        )

    async def say_hello(self, engine: str, *, is_local: bool) -> bool:
        """Say Hello until the host answers, less and less often, and store the answer as `hello`. Return
        False if the state of the host changes first.

        A host that `is_local` has our API version. Another one has the version of these messages, or the one
        before. Raises HelloRefused.
        """
        pause_s = HELLO_AGAIN_S
        while not self.died.is_set():
            try:
                data = await self._call_hello(messages.Hello(API_VERSION), timeout=HELLO_S)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                    raise HelloRefused("its host's answer is too long") from None
                _log.warning("host.hello.failed", engine=engine, status=error.code().name)
            else:
                if not self.died.is_set():
                    self.hello = _hello_of(data, is_local=is_local)
                    return True
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self.died.wait()
            pause_s = min(2 * pause_s, LONGEST_AGAIN_S)
        return False

    async def ask(self, name: str, message: Any, answer: type[Any], within_s: float) -> Any:
        call = self._channel.unary_unary(messages.method(name), messages.encode, messages.decoder(answer))
        return await call(message, timeout=within_s)

    async def put_sample(self, sample: PutSample) -> None:
        """Put a recording into the host. Raises HostLost, or EngineError if the host does not take it."""
        if self.died.is_set():
            raise _host_lost("it died before")
        reply: PutReply = await _message_of(self.ask(messages.PUT, sample, PutReply, PUT_S))
        if reply.failed is not None:
            raise reply.failed.to_error()

    async def drop_samples(self, samples: DropSamples) -> None:
        """Make the host forget recordings. A dead host has none. Raises EngineUnavailable if it does not
        confirm."""
        reply: DropReply | None = None
        try:
            if not self.died.is_set():
                reply = await self.ask(messages.DROP, samples, DropReply, DROP_S)
        except grpc.aio.AioRpcError:
            pass  # it is dead, or it does not answer
        except asyncio.CancelledError:
            if is_own_task_cancelled():
                raise
        if reply is not None:
            return
        try:
            async with asyncio.timeout(DEATH_S):
                await self.died.wait()
        except TimeoutError:
            raise EngineUnavailable("A host does not confirm that it has forgotten a voice.") from None

    def call(self, begin: Begin, pcm: AsyncIterable[bytes] | None) -> HostCall:
        call = self._run(begin) if pcm is None else self._run_with_input(_Inputs(begin, aiter(pcm)))
        return HostCall(self, call, begin.work.tenant, _DEATHS if pcm is None else _DEATHS_WITH_INPUT)

    def end(self, tenant: str) -> None:
        """Count a call of this tenant as ended."""
        self.running -= 1
        self.tenants[tenant] -= 1
        if not self.tenants[tenant]:
            del self.tenants[tenant]
        self._on_end()

    @property
    def load(self) -> float:
        """Our jobs, and those that another worker has there on average."""
        return self.running + self._jobs_of_others

    def note_jobs(self, all_jobs: ProcessJobs) -> None:
        """Note the number of jobs that this process had a moment ago, of all workers together."""
        self._jobs_of_others = jobs_of_another(all_jobs.jobs, self.running, all_jobs.sharers)

    def has_begun(self, call: str) -> bool:
        """Tell whether the engine had begun a call, as far as that is known."""
        return self.is_lost or self.is_leaving or call in self._begun_calls

    def note_death(self, state: HostState) -> None:
        """Note which calls the engine had begun, and which call certainly killed it.

        Each call of this process now ends with HostLost. If its machine was lost, all its calls count as
        begun.
        """
        self._begun_calls = frozenset(state.begun)
        self.is_lost = state.lost_at is not None
        self.has_crashed = state.has_crashed
        self.killer = state.killer
        self.died.set()

    async def close(self) -> None:
        await self._channel.close()


class HostCall:
    """One call. Its reader has a timeout, because gRPC does not notice a frozen host."""

    def __init__(
        self, process: HostProcess, call: Any, tenant: str, deaths: tuple[grpc.StatusCode, ...]
    ) -> None:
        self.process = process
        self._call = call
        self._tenant = tenant
        self._deaths = deaths
        self._is_open = True
        process.running += 1
        process.tenants[tenant] += 1

    async def next_frame(self) -> Frame:
        """Return the next frame. Raises HostLost, or EngineUnavailable if a living host talks nonsense."""
        frame: Frame = await _message_of(self._call.read(), self._deaths)
        return frame

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._call.cancel()
            self.process.end(self._tenant)


def _hello_of(data: bytes, *, is_local: bool) -> messages.HelloReply:
    try:
        hello = messages.decode_hello(data)
    except ValueError as error:
        raise HelloRefused(f"its host's answer cannot be read: {error}") from None
    theirs = hello.api_version if is_local else hello.host_api
    ours = (API_VERSION,) if is_local else (messages.HOST_API, messages.HOST_API - 1)
    if theirs not in ours:
        versions = " or ".join(map(str, ours))
        raise HelloRefused(
            f"its host's API version is {theirs}, the server's {versions}: they must be the same"
        )
    return hello


async def _message_of(answer: Awaitable[Any], deaths: tuple[grpc.StatusCode, ...] = _DEATHS) -> Any:
    """Wait for a message of a host. Raises HostLost, or EngineUnavailable for a message that makes no
    sense."""
    try:
        message = await answer
    except grpc.aio.AioRpcError as error:
        if error.code() in deaths:
            raise _host_lost(error.code().name) from None
        raise EngineUnavailable(f"The host cannot answer: {error.code().name}.") from None
    except asyncio.CancelledError:
        if is_own_task_cancelled():
            raise
        raise _host_lost("its channel was closed") from None
    # gRPC gives None for a message that cannot be decoded.
    if message is grpc.aio.EOF or message is None:
        raise EngineUnavailable("The host gave no whole answer.", retry_after_s=1.0)
    return message


def _host_lost(reason: str) -> HostLost:
    """Return the failure of a broken connection: the host has died or is about to."""
    return HostLost(f"The host is gone: {reason}.", retry_after_s=1.0)


def is_own_task_cancelled() -> bool:
    """Tell whether a CancelledError comes from a cancellation of the present task.

    It may come from a closed channel instead, which cancels its calls: the supervisor may see a host's death
    before gRPC does.
    """
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


class _Inputs:
    """The messages to a host in a call with input: Begin, then the pieces of the recording."""

    def __init__(self, begin: Begin, pcm: AsyncIterator[bytes]) -> None:
        self._begin: Begin | None = begin
        self._pcm = pcm

    def __aiter__(self) -> AsyncIterator[Input]:
        return self

    async def __anext__(self) -> Input:
        if self._begin is not None:
            begin, self._begin = self._begin, None
            return begin
        return Pcm(await anext(self._pcm))


def open_channel(state: HostState, *, is_local: bool) -> Any:
    """Return a channel to a process. One elsewhere sends pieces alone, so its messages are shorter."""
    options = messages.CHANNEL_OPTIONS if is_local else _FAR_OPTIONS
    return grpc.aio.insecure_channel(messages.target(state.address), options=options)


def sum_of_health(reports: Sequence[messages.HealthReport]) -> messages.HealthReport:
    """Return the health of several processes together."""
    return messages.HealthReport(
        sum(answer.slots for answer in reports),
        sum(answer.running for answer in reports),
        sum(answer.waiting for answer in reports),
        sum(answer.waiting_s for answer in reports),
        device=", ".join(sorted({answer.device for answer in reports} - {""})),
        memory_gb=sum(answer.memory_gb for answer in reports),
        figures=add_figures([answer.figures for answer in reports if answer.figures]),
        wait_s=min((answer.wait_s for answer in reports), default=0.0),
    )
