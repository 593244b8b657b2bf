"""The socketpair between the supervisor and each of its children, hosts and workers alike.

The end of the pipe says that the other side is dead. The child then removes its own socket and exits,
so that a killed supervisor leaves nothing behind. Frames are a length and a msgpack message.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import threading
from collections.abc import Callable
from typing import NoReturn

import msgspec

from speech_engine.device import DeviceKind
from speech_engine.host.comparer_messages import (
    BeginComparer,
    ComparerReady,
    ComparisonQuestion,
    ComparisonScore,
)

_LENGTH = struct.Struct("<I")


class BeginHost(msgspec.Struct, frozen=True, tag="begin_host"):
    """The supervisor's first message to a host. Settings come this way: no secret in an argv."""

    engine: str
    module: str
    settings: bytes
    address: str
    queue: int
    digest_key: bytes = b""
    needs: tuple[str, ...] = ()
    memory_mb: int | None = None
    device: str = "cpu"
    devices: tuple[DeviceKind, ...] = ("cpu",)
    memory_gb: float | None = None

    def __repr__(self) -> str:
        return f"<BeginHost {self.engine} {self.module}>"


class Revision(msgspec.Struct, frozen=True, tag="revision"):
    """The parsed configuration for a worker; the first one starts the worker's life."""

    number: int
    config: bytes

    def __repr__(self) -> str:
        return f"<Revision {self.number}>"


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """A child serves from now on. `dev_key` is the worker's answer to `server.dev_key`."""

    dev_key: str | None = None

    def __repr__(self) -> str:
        return "<Ready>"


class Broken(msgspec.Struct, frozen=True, tag="broken"):
    """A child cannot serve and gives the reason before its exit; `lasting`: a restart would not help."""

    reason: str
    lasting: bool = False


class HostState(msgspec.Struct, frozen=True, tag="host_state"):
    """One process of one engine, told to every worker. A generation is one life of the process.

    If that life has just ended, `begun` has the calls that the engine had begun and not ended, and `killer`
    is the one that certainly ended it.
    """

    engine: str
    process: int
    generation: int
    state: str
    reason: str = ""
    address: str = ""
    begun: tuple[str, ...] = ()
    killer: str = ""


class Tick(msgspec.Struct, frozen=True, tag="tick"):
    """A host's sign of life: the number of its jobs in work, and the call that begins or has ended.

    `digest` stands for what that call speaks. `is_whole`: it was spoken to its end.
    """

    working: int
    begun: str = ""
    ended: str = ""
    digest: bytes = b""
    is_whole: bool = False


class TextVerdicts(msgspec.Struct, frozen=True, tag="text_verdicts"):
    """To a host: the digests of the texts that run alone, and of those that are refused."""

    alone: tuple[bytes, ...] = ()
    refused: tuple[bytes, ...] = ()


class WorkerGivenUp(msgspec.Struct, frozen=True, tag="worker_given_up"):
    """A message to the workers that go on serving, for their readiness."""

    worker: int
    reason: str


class MetricsQuestion(msgspec.Struct, frozen=True, tag="metrics_asked"):
    """A question to a worker. The answer repeats its number, so a late answer fits no other question."""

    question: int


class MetricsReport(msgspec.Struct, frozen=True, tag="metrics"):
    question: int
    text: str


class PlansQuestion(msgspec.Struct, frozen=True, tag="plans_asked"):
    """A question to a worker: which of these plans do accounts have?"""

    question: int
    names: tuple[str, ...]


class PlansInUse(msgspec.Struct, frozen=True, tag="plans_in_use"):
    question: int
    names: tuple[str, ...]


class ReloadQuestion(msgspec.Struct, frozen=True, tag="reload_asked"):
    """A worker's question: read the configuration again, and tell what came of it."""

    question: int


class ReloadResult(msgspec.Struct, frozen=True, tag="reload"):
    """The answer. With a `refusal`, nothing has changed."""

    question: int
    changed: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()
    refusal: str = ""


class ErasureQuestion(msgspec.Struct, frozen=True, tag="erasure_asked"):
    """A worker's question: let every worker forget this voice. `digests` are its recordings."""

    question: int
    subject: str
    digests: tuple[str, ...]


class ErasureSpread(msgspec.Struct, frozen=True, tag="erasure_spread"):
    """The answer: whether every worker that lives has forgotten it, and its streams have ended."""

    question: int
    is_everywhere: bool


class ForgetQuestion(msgspec.Struct, frozen=True, tag="forget_asked"):
    """A question to a worker: forget this voice, and end its streams."""

    question: int
    subject: str
    digests: tuple[str, ...]


class VoiceForgotten(msgspec.Struct, frozen=True, tag="voice_forgotten"):
    """The answer. `is_silent`: no stream of the voice goes on."""

    question: int
    is_silent: bool


class Drain(msgspec.Struct, frozen=True, tag="drain"):
    """Finish what runs, take nothing new, then exit."""

    within_s: float


Question = MetricsQuestion | PlansQuestion | ForgetQuestion
Reply = MetricsReport | PlansInUse | VoiceForgotten
WorkerQuestion = ReloadQuestion | ErasureQuestion
_ToWorker = Revision | HostState | WorkerGivenUp | Question | ReloadResult | ErasureSpread
_ToComparer = BeginComparer | ComparisonQuestion
_ToChild = BeginHost | TextVerdicts | _ToWorker | _ToComparer | Drain
_ToSupervisor = Ready | Broken | Tick | Reply | WorkerQuestion | ComparerReady | ComparisonScore
Message = _ToChild | _ToSupervisor

_encode = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def pack(message: Message) -> bytes:
    body = _encode(message)
    return _LENGTH.pack(len(body)) + body


def unpack(body: bytes) -> Message:
    return _decoder.decode(body)


def length(head: bytes) -> int:
    size: int = _LENGTH.unpack(head)[0]
    return size


HEAD_BYTES = _LENGTH.size


class ParentPipe:
    """A child's end. A thread reads, so that a busy event loop cannot live longer than its supervisor."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._socket.setblocking(True)
        self._sending = threading.Lock()

    def __repr__(self) -> str:
        return f"<ParentPipe fd {self._socket.fileno()}>"

    def send(self, message: Message) -> None:
        with self._sending:
            try:
                self._socket.sendall(pack(message))
            except OSError:
                pass  # the supervisor is gone: the reading thread sees the end and exits for us

    def receive(self) -> Message | None:
        """Returns the next message, or None at the end of the pipe. Blocks."""
        head = self._exactly(HEAD_BYTES)
        body = None if head is None else self._exactly(length(head))
        return None if body is None else unpack(body)

    def watch(self, on_message: Callable[[Message], None], on_end: Callable[[], None]) -> None:
        """Hands every message to `on_message` in a thread of its own; at the end calls `on_end` and exits."""

        def read() -> NoReturn:
            while (message := self.receive()) is not None:
                on_message(message)
            try:
                on_end()
            finally:
                os._exit(0)

        threading.Thread(target=read, name="parent-pipe", daemon=True).start()

    def _exactly(self, count: int) -> bytes | None:
        parts: list[bytes] = []
        while count:
            try:
                part = self._socket.recv(count)
            except OSError:
                return None
            if not part:
                return None
            parts.append(part)
            count -= len(part)
        return b"".join(parts)


def tell(loop: asyncio.AbstractEventLoop, listener: Callable[..., object], *said: object) -> None:
    """Passes a call from the reading thread to the loop. The thread must live to notice the pipe's end."""
    try:
        loop.call_soon_threadsafe(listener, *said)
    except RuntimeError:
        pass  # the loop is closed: this child is about to exit, and nobody listens any more


def remove_socket(address: str) -> None:
    """Unlinks a child's own socket, and its folder if the folder is empty then."""
    for action, path in ((os.unlink, address), (os.rmdir, os.path.dirname(address))):
        try:
            action(path)
        except OSError:
            pass  # already gone, or others still live in the folder
