"""Work in a host: one call over the host's socket, and a second call if the host dies.

A host that dies takes its queue with it. The supervisor tells which calls the engine had begun. Others go
to the next life. A speech that had begun without audio is asked again, since another job may have killed
the host; in its next life it runs alone there, so the supervisor then knows a text that kills.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, Protocol

import grpc

from speech_engine import EngineUnavailable, Event, Finished, Speak, Started, UnsupportedText, Work
from speech_engine.host import messages
from speech_engine.host.engine_stream import OnDispatch
from speech_engine.host.messages import Begin, Failed, Frame, Input, Pcm
from speech_engine.host.suspects import KILLER
from speech_engine.work import with_deadline

MOST_DEATHS = 2
"""How often a speech may begin again. The second time it runs alone, so a third death is not its own."""

DEATH_S = 5.0
"""How long to wait for the supervisor's word on a host whose connection has broken."""

_decode_frame = messages.decoder(Frame)


_DEATHS = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


class HostGone(Exception):
    """A broken connection: the host has died or is about to. An engine that refuses raises EngineError."""


class HostProcess:
    """One ready host process and the channel to it. `died` is set when the supervisor has seen its end."""

    def __init__(self, address: str) -> None:
        self.running = 0
        self.tenants: Counter[str] = Counter()
        self.begun: frozenset[str] = frozenset()
        self.killer = ""
        self.died = asyncio.Event()
        self._channel = grpc.aio.insecure_channel(f"unix:{address}", options=messages.CHANNEL_OPTIONS)
        self._run = self._channel.unary_stream(messages.method(messages.RUN), messages.encode, _decode_frame)
        self._run_with_input = self._channel.stream_stream(
            messages.method(messages.RUN_WITH_INPUT), messages.encode, _decode_frame
        )

    def __repr__(self) -> str:
        return f"<HostProcess, {self.running} running>"

    async def ask(self, name: str, message: Any, answer: type[Any], within_s: float) -> Any:
        call = self._channel.unary_unary(messages.method(name), messages.encode, messages.decoder(answer))
        return await call(message, timeout=within_s)

    def call(self, begin: Begin, pcm: AsyncIterator[bytes] | None) -> HostCall:
        call = self._run(begin) if pcm is None else self._run_with_input(_Inputs(begin, pcm))
        return HostCall(self, call, begin.work.tenant)

    def note_death(self, begun: tuple[str, ...], killer: str) -> None:
        """Note which calls the engine had begun, and which one killed it if that is certain.

        Each call of this process now learns that it is gone.
        """
        self.begun = frozenset(begun)
        self.killer = killer
        self.died.set()

    async def close(self) -> None:
        await self._channel.close()


class HostCall:
    """One call. The reader keeps the time, because gRPC does not notice a frozen host."""

    def __init__(self, process: HostProcess, call: Any, tenant: str) -> None:
        self.process = process
        self._call = call
        self._tenant = tenant
        self._is_open = True
        process.running += 1
        process.tenants[tenant] += 1

    async def next_frame(self) -> Frame:
        """Return the next frame. Raises HostGone, or EngineUnavailable if a living host talks nonsense."""
        try:
            frame = await self._call.read()
        except grpc.aio.AioRpcError as error:
            if error.code() in _DEATHS:
                raise HostGone(error.code().name) from None
            raise EngineUnavailable(f"The host cannot answer: {error.code().name}.") from None
        except asyncio.CancelledError:
            # The supervisor may see a host's death before gRPC does. Closing the channel then cancels its
            # calls, and that must not be taken for a cancelling of our own task.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise HostGone("its channel was closed") from None
        # gRPC gives None for a frame that cannot be decoded.
        if frame is grpc.aio.EOF or frame is None:
            raise EngineUnavailable("The host gave no whole answer.", retry_after_s=1.0)
        received: Frame = frame
        return received

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self.process.running -= 1
            self.process.tenants[self._tenant] -= 1
            if not self.process.tenants[self._tenant]:
                del self.process.tenants[self._tenant]
            self._call.cancel()


class HostPool(Protocol):
    """What a stream needs of the engine to which the hosts belong."""

    def next_call(self) -> str:
        """Return a name for a call that no other call has."""
        ...

    async def ready_process(self, tenant: str, deadline: float) -> HostProcess:
        """Wait for a process that is ready for a job of this tenant. Raises EngineUnavailable."""
        ...


class HostStream:
    """The stream of work in a host. The host keeps the queue, so its first frame is the sign of dispatch."""

    def __init__(
        self, hosts: HostPool, work: Work, on_dispatch: OnDispatch, pcm: AsyncIterator[bytes] | None
    ) -> None:
        self._hosts = hosts
        self._work = work
        self._on_dispatch = on_dispatch
        self._pcm = pcm
        self._deadline = _now() + work.deadline_s
        self._call: HostCall | None = None
        self._name = ""
        self._has_output = False
        self._deaths = 0
        self._is_over = False

    def __repr__(self) -> str:
        return f"<HostStream of {self._work!r}>"

    async def next_event(self) -> Event | None:
        if self._is_over:
            return None
        try:
            frame = await self._next_frame()
        except BaseException:
            self._end()
            raise
        if isinstance(frame, Failed):
            self._end()
            raise frame.to_error()
        if isinstance(frame, Finished):
            self._end()
        return frame

    async def close(self) -> None:
        self._end()

    async def _next_frame(self) -> Frame:
        while True:
            is_first = self._call is None
            if self._call is None:
                self._call = await self._begin()
            try:
                frame = await self._call.next_frame()
            except HostGone as gone:
                process = self._call.process
                self._call.close()
                self._call = None
                await self._judge(process, gone)
                continue
            if is_first and not isinstance(frame, Failed):
                self._on_dispatch(True)
            # A second life may start again, but it may not repeat what has left us.
            self._has_output = self._has_output or not isinstance(frame, Started)
            return frame

    async def _begin(self) -> HostCall:
        process = await self._hosts.ready_process(self._work.tenant, self._deadline)
        self._name = self._hosts.next_call()
        left = with_deadline(self._work, max(0.0, self._deadline - _now()))
        return process.call(Begin(self._name, left), self._pcm)

    async def _judge(self, process: HostProcess, gone: HostGone) -> None:
        """Return if the work may go to the next life. Otherwise raise EngineUnavailable, or UnsupportedText
        if this work has certainly killed the host."""
        lost = EngineUnavailable(f"The host is gone: {gone}.", retry_after_s=1.0)
        try:
            # Also after the first audio: it decides whether the failure is ours or the text's.
            async with asyncio.timeout(min(DEATH_S, max(0.0, self._deadline - _now()))):
                await process.died.wait()
        except TimeoutError:
            raise lost from None
        if self._name == process.killer:
            raise UnsupportedText(KILLER)
        # A recording can be read only once, and part of it went to the first life.
        if self._has_output or self._pcm is not None:
            raise lost
        if self._name in process.begun:
            # Making a voice twice would leave an unknown one behind.
            if self._deaths == MOST_DEATHS or not isinstance(self._work, Speak):
                raise lost
            self._deaths += 1

    def _end(self) -> None:
        self._is_over = True
        if self._call is not None:
            self._call.close()


class _Inputs:
    """What goes to a host over a call with input: Begin, then the pieces of the recording."""

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


_now = time.monotonic
"""The clock of every event loop. To ask the running loop costs a question to the kernel."""
