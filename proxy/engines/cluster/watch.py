"""A gateway's Watch of one host: what its processes do, and whether it lives."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import msgspec
import structlog

from proxy.engines.cluster.certificates import UnusableCertificates
from proxy.engines.cluster.channels import Channels
from proxy.engines.cluster.messages import (
    MOST_PROCESSES,
    OPTIONS,
    SILENT_S,
    TICK_S,
    GatewayHello,
    GatewayMessage,
    GatewayTick,
    HostEnded,
    HostHello,
    HostLeaves,
    HostMessage,
    HostTick,
    SwitchQuestion,
    SwitchReply,
    method,
)
from proxy.engines.host_process import is_own_task_cancelled
from speech_engine.host import messages
from speech_engine.host.cluster_messages import ProcessJobs
from speech_engine.host.messages import HOST_API
from speech_engine.host.pipe_messages import HostState

_AGAIN_S = 1.0
_SWITCH_S = 12.0

_decode_message = messages.decoder(HostMessage)
_log = structlog.get_logger()


class _Nonsense(Exception):
    """The other side says what no host of this version would say."""


class HostWatch:
    """Watches the host at an address, again and again, until `run` is cancelled.

    `on_state` gets the states of the processes of `engines`, with numbers of this gateway, and `on_jobs`
    their jobs each second. A host that is lost, or has ended, has no process any more.
    """

    def __init__(
        self,
        address: str,
        channels: Channels,
        machine: str,
        engines: frozenset[str],
        numbers: Iterator[int],
        on_state: Callable[[HostState], None],
        on_jobs: Callable[[ProcessJobs], None],
    ) -> None:
        self.address = address
        self.machine = ""
        self.is_wanted = True
        """Whether the watch begins again after its end."""
        self.released_at: float | None = None
        self.lost = 0
        self.trouble = ""
        self.states: dict[int, HostState] = {}
        self._channels = channels
        self._own_machine = machine
        self._engines = engines
        self._numbers = numbers
        self._processes: dict[tuple[str, int], int] = {}
        self._is_leaving = False
        self._has_ended = False
        self._on_state = on_state
        self._on_jobs = on_jobs

    @property
    def is_alive(self) -> bool:
        return bool(self.machine)

    def release(self) -> None:
        """Let workers send nothing new there, because other gateways use this host."""
        if self.is_alive and self.released_at is None:
            self.released_at = time.monotonic()
            self._leave()

    async def run(self) -> None:
        """Watch until the host is not wanted any more and its Watch has ended."""
        while self.is_wanted:
            try:
                reason = await self._watch()
            except asyncio.CancelledError:
                self.machine = ""  # this gateway ends, and loses nothing
                raise
            except grpc.aio.AioRpcError as error:
                reason = error.code().name
            except (UnusableCertificates, _Nonsense) as error:
                reason = str(error)
            except TimeoutError:
                reason = f"no sign of life for {SILENT_S:g} s"
            finally:
                self._end()
            if is_own_task_cancelled():
                raise asyncio.CancelledError  # gRPC loses a cancellation while a call begins
            if reason != self.trouble:
                _log.warning("cluster.watch.failed", host=self.address, reason=reason)
            self.trouble = reason
            await asyncio.sleep(_AGAIN_S)

    async def switch(self, question: SwitchQuestion) -> str:
        """Load, unload or restart an engine there. Return why it is refused, or ""."""
        try:
            async with self._channels.open(self.address, OPTIONS) as channel:
                call = channel.unary_unary(method("Switch"), messages.encode, messages.decoder(SwitchReply))
                reply: SwitchReply | None = await call(question, timeout=_SWITCH_S)
        except (grpc.aio.AioRpcError, UnusableCertificates) as error:
            reason = error.code().name if isinstance(error, grpc.aio.AioRpcError) else str(error)
            return f"{self.address} does not answer: {reason}"
        if reply is None:
            return f"{self.address} answers with a message that cannot be read"
        return reply.refusal and f"{self.address}: {reply.refusal}"

    async def _watch(self) -> str:
        async with self._channels.open(self.address, OPTIONS) as channel:
            call = channel.stream_stream(method("Watch"), messages.encode, _decode_message)()
            ticking = asyncio.create_task(self._tick(call))
            try:
                while not self._has_ended:
                    async with asyncio.timeout(SILENT_S):
                        message = await call.read()
                    if message is grpc.aio.EOF:
                        # This raises the error of the call, if it has one.
                        status = await call.code()
                        return f"the host has ended the watch: {status.name}"
                    self._take(message)
            finally:
                ticking.cancel()
                call.cancel()
        return "the host has ended"

    async def _tick(self, call: Any) -> None:
        message: GatewayMessage = GatewayHello(self._own_machine)
        try:
            while True:
                await call.write(message)
                await asyncio.sleep(TICK_S)
                message = GatewayTick()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            pass  # the reader sees the end, too

    def _take(self, message: HostMessage | None) -> None:
        match message:
            case HostHello():
                if message.host_api not in (HOST_API, HOST_API - 1):
                    raise _Nonsense(f"its version of the messages is {message.host_api}, ours {HOST_API}")
                self.machine, self.trouble = message.machine, ""
                _log.info("cluster.watch.started", host=self.address, machine=message.machine)
            case HostState():
                self._note(message)
            case HostTick():
                self._tell_jobs(message)
            case HostLeaves():
                self._leave()
            case HostEnded():
                self._has_ended = True
            case None:
                raise _Nonsense("it sends a message that cannot be read")

    def _leave(self) -> None:
        self._is_leaving = True
        for state in list(self.states.values()):
            self._tell(state)

    def _note(self, state: HostState) -> None:
        if state.engine not in self._engines:
            return
        key = (state.engine, state.process)
        if key not in self._processes:
            if len(self._processes) >= MOST_PROCESSES:
                raise _Nonsense(f"it has more than {MOST_PROCESSES} processes")
            self._processes[key] = next(self._numbers)
        self._tell(msgspec.structs.replace(state, process=self._processes[key], machine=self.address))

    def _tell_jobs(self, tick: HostTick) -> None:
        for engine, process, load in map(msgspec.structs.astuple, tick.loads):
            number = self._processes.get((engine, process))
            if number is not None:
                self._on_jobs(ProcessJobs(engine, number, load.jobs, tick.watches))

    def _tell(self, state: HostState) -> None:
        if self._is_leaving and state.state == "ready":
            state = msgspec.structs.replace(state, state="leaving")
        self.states[state.process] = state
        self._on_state(state)

    def _end(self) -> None:
        """Note that the processes are gone. What a lost host had begun is unknown."""
        lost_at = None if self._has_ended else time.monotonic()
        if self.is_alive and not self._has_ended:
            self.lost += 1
            _log.warning("cluster.host.lost", host=self.address, machine=self.machine)
        for state in self.states.values():
            self._on_state(
                HostState(
                    state.engine,
                    state.process,
                    state.generation,
                    "gone",
                    machine=self.address,
                    lost_at=lost_at,
                )
            )
        self.states, self._processes = {}, {}
        self.released_at = None
        self.machine, self._is_leaving, self._has_ended = "", False, False
