"""A gateway's Watch of one host: what its processes do, and whether it lives."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import msgspec
import structlog

from proxy.hosts.cluster.links_child import MOST_PROCESSES, LinkChannels
from proxy.hosts.cluster.messages import (
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
from proxy.hosts.host_process import is_own_task_cancelled
from speech_engine.bounds import cut, decoded
from speech_engine.host import messages
from speech_engine.host.cluster_messages import ProcessJobs
from speech_engine.host.messages import HOST_API, decode_hello
from speech_engine.host.pipe_messages import HostState

_AGAIN_S = 1.0
REFUSED_AGAIN_S = 10.0
_SWITCH_TIMEOUT_S = 12.0
_REJOIN_S = 0.05
_FREE_MESSAGES = 3
"""The first messages of each process, which are read without a pause."""
_MESSAGES_A_SECOND = 20.0
_LONGEST_FULL_S = 60.0
_CAUSES = {
    "Connection refused": "the links process is away",
    **dict.fromkeys(
        ("Socket closed", "Connection reset", "Broken pipe"), "no link of the host took the connection"
    ),
}
"""What gRPC's words mean. They are long, and may be a host's own, so none of them is shown."""

_decode_message = messages.decoder(HostMessage)
_log = structlog.get_logger()


class _Nonsense(Exception):
    """No host of an accepted version would send this."""


class ReadPace:
    """The pace of a Watch: it reads 20 messages a second, and gRPC holds the rest."""

    def __init__(self, now: float) -> None:
        self._due = now
        self._full_since: float | None = None

    def wait_s(self, cost: int, now: float) -> float:
        """Return the pause after a message that counts as `cost` messages. One second can be saved up. Raises
        _Nonsense if each message of a minute had a pause."""
        self._due = max(self._due, now - 1.0) + cost / _MESSAGES_A_SECOND
        if self._due <= now:
            self._full_since = None
            return 0.0
        if self._full_since is None:
            self._full_since = now
        if now - self._full_since > _LONGEST_FULL_S:
            pace = f"{_MESSAGES_A_SECOND:g} messages a second"
            raise _Nonsense(f"it sends more than {pace} for {_LONGEST_FULL_S:g} s")
        return self._due - now


class HostWatch:
    """Watches a host that has joined, again and again, until `run` is cancelled. Its `address` is the id of
    its start.

    `on_state` gets the states of the processes of `engines`, with numbers of this gateway, and `on_jobs`
    their jobs each second. A host that is lost, or has ended, has no process any more. A host that is refused
    has a failed process of each engine, whose reason says why.
    """

    def __init__(
        self,
        address: str,
        channels: LinkChannels,
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
        self.released_at: float | None = None  # since when workers send nothing new there
        self.lost = 0  # how often the host was lost
        self.trouble = ""  # why the last Watch ended; "" after a tick
        self.states: dict[int, HostState] = {}
        self._channels = channels
        self._own_machine = machine
        self._engines = engines
        self._numbers = numbers
        self._processes: dict[tuple[str, int], int] = {}
        self._messages_read: Counter[int] = Counter()
        self._hello_digests: dict[str, bytes] = {}
        self._refusal = ""
        self._refused_states: list[HostState] = []
        self._is_leaving = False
        self._has_ended = False
        self._is_rejoining = False
        self._rejoins_until = 0.0
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
        try:
            while self.is_wanted:
                reason, is_refused = await self._watch_once()
                if is_own_task_cancelled():
                    raise asyncio.CancelledError  # gRPC loses a cancellation while a call begins
                if reason != self.trouble:
                    _log.warning("cluster.watch.failed", host=self.address, reason=reason)
                self.trouble = reason
                self._refuse(reason if is_refused else "")
                await asyncio.sleep(REFUSED_AGAIN_S if is_refused else _AGAIN_S)
        finally:
            self._refuse("")

    async def _watch_once(self) -> tuple[str, bool]:
        """Return why the Watch has ended, and whether the host is refused."""
        is_refused = False
        try:
            reason = await self._watch()
        except asyncio.CancelledError:
            self.machine = ""  # this gateway ends, and loses nothing
            raise
        except grpc.aio.AioRpcError as error:
            # The message is too long, or the host has too many gateways.
            reason, is_refused = _cause_of(error), error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        except _Nonsense as error:
            reason, is_refused = str(error), True
        except TimeoutError:
            reason = f"no sign of life for {SILENT_S:g} s"
        finally:
            self._end(is_refused=is_refused)
        return reason, is_refused

    def _refuse(self, reason: str) -> None:
        """Tell all engines why this host is refused, or with "" that it is not."""
        if reason == self._refusal:
            return
        self._refusal = reason
        for state in self._refused_states:
            self._on_state(msgspec.structs.replace(state, state="gone", reason=""))
        number, says = next(self._numbers), f"{self.address} is refused: {reason}"
        self._refused_states = [
            HostState(engine, number, 0, "failed", says, machine=self.address)
            for engine in self._engines
            if reason
        ]
        for state in self._refused_states:
            self._on_state(state)

    async def switch(self, question: SwitchQuestion) -> str:
        """Load, unload or restart an engine there. Return why it is refused, or ""."""
        try:
            async with self._channels.open(self.address, OPTIONS) as channel:
                call = channel.unary_unary(method("Switch"), messages.encode, messages.decoder(SwitchReply))
                reply: SwitchReply | None = await call(question, timeout=_SWITCH_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            return f"{self.address} does not answer: {_cause_of(error)}"
        if reply is None:
            return f"{self.address} answers with a message that cannot be read"
        return reply.refusal and f"{self.address}: {cut(reply.refusal)}"

    async def _watch(self) -> str:
        """Watch the host, and return why it ends. If a link breaks, the watch goes on with another one."""
        while True:
            try:
                return await self._watch_connection()
            except grpc.aio.AioRpcError:
                if not self.is_alive or time.monotonic() > self._rejoins_until:
                    raise
            self._is_rejoining = True
            await asyncio.sleep(_REJOIN_S)

    async def _watch_connection(self) -> str:
        async with self._channels.open(self.address, OPTIONS) as channel:
            # Without a decoder, the call gives bytes: gRPC would hide why a message cannot be decoded.
            call = channel.stream_stream(method("Watch"), messages.encode, None)()
            ticking, pace = asyncio.create_task(self._tick(call)), ReadPace(time.monotonic())
            try:
                while not self._has_ended:
                    async with asyncio.timeout(SILENT_S):
                        data = await call.read()
                    if data is grpc.aio.EOF:
                        # This raises the error of the call, if it has one.
                        status = await call.code()
                        return f"the host has ended the watch: {status.name}"
                    # Even without a pause, other work of the supervisor has its turn.
                    await asyncio.sleep(pace.wait_s(self._take_message(_message(data)), time.monotonic()))
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

    def _take_message(self, message: HostMessage) -> int:
        """Act on a message, and return its cost: as how many messages it counts."""
        if isinstance(message, HostHello) == (self.is_alive and not self._is_rejoining):
            raise _Nonsense("it must greet once, and first")
        match message:
            case HostHello():
                self._take_greeting(message)
            case HostState():
                return self._note_state(message)
            case HostTick():
                self._rejoins_until = time.monotonic() + SILENT_S
                self.trouble = ""
                self._refuse("")
                for engine, process, load in map(msgspec.structs.astuple, message.loads):
                    number = self._processes.get((engine, process))
                    if number is not None and engine in self._engines:
                        self._on_jobs(ProcessJobs(engine, number, load.jobs, message.watches))
            case HostLeaves() if not self._is_leaving:
                self._leave()
            case HostEnded():
                self._has_ended = True
        return 1

    def _take_greeting(self, hello: HostHello) -> None:
        _check_version(hello.host_api)
        if hello.machine != self.address:
            raise _Nonsense("it greets as another host than the one that has joined")
        if not self._is_rejoining:  # a host that only greets, and breaks each link, is lost
            self._rejoins_until = time.monotonic() + SILENT_S
        if not self._refusal and not self._is_rejoining:
            _log.info("cluster.watch.started", host=self.address, machine=hello.machine)
        self.machine, self._is_rejoining = hello.machine, False

    def _leave(self) -> None:
        self._is_leaving = True
        for state in list(self.states.values()):
            self._tell(state)

    def _note_state(self, state: HostState) -> int:
        key = state.engine, state.process
        if key not in self._processes:
            if len(self._processes) >= MOST_PROCESSES:
                raise _Nonsense(f"it has more than {MOST_PROCESSES} processes")
            self._processes[key] = next(self._numbers)
        number = self._processes[key]
        self._messages_read[number] += 1
        cost = int(self._messages_read[number] > _FREE_MESSAGES)
        if state.engine not in self._engines:
            return cost
        cost += self._cost_of_hello(state)
        state = msgspec.structs.replace(
            state, process=number, machine=self.address, reason=cut(state.reason), lost_at=None
        )
        self._tell(self._with_watched_address(state) if state.address or state.state == "ready" else state)
        return cost

    def _cost_of_hello(self, state: HostState) -> int:
        """Check the engine's description. A new one is stored, and told to all workers: it costs a second."""
        digest = hashlib.sha256(state.hello).digest()
        if not state.hello or self._hello_digests.get(state.engine) == digest:
            return 0
        try:
            _check_version(decode_hello(state.hello).host_api)
        except ValueError as error:
            raise _Nonsense(f"what it says of {state.engine} cannot be read: {error}") from None
        is_first = state.engine not in self._hello_digests
        self._hello_digests[state.engine] = digest
        return 0 if is_first else round(_MESSAGES_A_SECOND)

    def _with_watched_address(self, state: HostState) -> HostState:
        """Return a state whose address is that of the process for the workers of this gateway."""
        try:
            return msgspec.structs.replace(
                state, address=self._channels.address_of(self.address, state.address)
            )
        except ValueError as error:
            return msgspec.structs.replace(state, address="", state="failed", reason=str(error))

    def _tell(self, state: HostState) -> None:
        if self._is_leaving and state.state == "ready":
            state = msgspec.structs.replace(state, state="leaving")
        self.states[state.process] = msgspec.structs.replace(state, hello=b"", begun=())
        self._on_state(state)

    def _end(self, *, is_refused: bool) -> None:
        """Note that the processes are gone. What a lost host had begun is unknown."""
        lost_at = None if self._has_ended else time.monotonic()
        if self.is_alive and not self._has_ended and not is_refused:
            self.lost += 1
            _log.warning("cluster.host.lost", host=self.address, machine=self.machine)
        for each in self.states.values():
            gone = HostState(each.engine, each.process, each.generation, "gone", machine=self.address)
            self._on_state(msgspec.structs.replace(gone, lost_at=lost_at))
        self.states, self._processes, self._hello_digests = {}, {}, {}
        self._messages_read.clear()
        self.released_at = None
        self.machine = ""
        self._is_leaving = self._has_ended = self._is_rejoining = False


def _cause_of(error: grpc.aio.AioRpcError) -> str:
    cause = next((says for sign, says in _CAUSES.items() if sign in (error.details() or "")), "")
    return ": ".join(filter(None, (error.code().name, cause)))


def _message(data: bytes) -> HostMessage:
    try:
        message: HostMessage = decoded(_decode_message, data)
    except ValueError as error:
        raise _Nonsense(f"its message cannot be read: {error}") from None
    return message


def _check_version(theirs: int) -> None:
    if theirs not in (HOST_API, HOST_API - 1):
        raise _Nonsense(f"its version of the messages is {theirs}, ours {HOST_API}")
