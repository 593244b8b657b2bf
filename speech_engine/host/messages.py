"""The messages between the server and a host, as msgpack: unary ones, and two calls for work.

`Run` sends one `Begin`. `RunWithInput` sends `Pcm` after it. Both answer with frames. A host's failures are
data (`Failed`, always the last frame); the transport's statuses are for transport. If a host lacks
recordings, it answers `MissingSamples` and no more: the server puts them there and sends the work again.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from speech_engine import API_VERSION
from speech_engine.bounds import MOST_JOBS, Line, Text, cut, decoded
from speech_engine.engine import Engine, EngineVoices
from speech_engine.errors import EngineError, EngineFailed, error_named, name_of
from speech_engine.events import Event
from speech_engine.models import ModelInfo, VoiceInfo
from speech_engine.redacted import Redacted
from speech_engine.work import Work

SERVICE = "voxgate.Host"

HOST_API = 1
"""The version of these messages between machines. A gateway takes its own and the one before, so fields are
only added, with defaults."""

CHANNEL_OPTIONS: list[tuple[str, int]] = [
    # Without these three gRPC lets a host run megabytes ahead of a reader that has stopped.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 64 * 1024),
    ("grpc.http2.write_buffer_size", 64 * 1024),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.max_send_message_length", 64 * 1024 * 1024),
    # A restarted host should be found again at once, not after gRPC's default back-off of a second.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 500),
]


class Hello(msgspec.Struct, frozen=True):
    """The server's greeting. A host of another API version answers it with its own version."""

    api_version: int


MOST_HELLO_BYTES = 1024 * 1024


class HelloReply(msgspec.Struct, frozen=True):
    """A host's answer to a greeting: its versions, and the description of its engine. `unlisted_voices` and
    `tries_unknown_voices` are those of `EngineVoices`."""

    api_version: int
    slots: Annotated[int, msgspec.Meta(ge=1, le=MOST_JOBS)]
    models: Annotated[tuple[ModelInfo, ...], msgspec.Meta(max_length=2_000)]
    voices: Annotated[tuple[VoiceInfo, ...], msgspec.Meta(max_length=20_000)]
    unlisted_voices: Annotated[tuple[Line, ...], msgspec.Meta(max_length=20_000)] | None = None
    tries_unknown_voices: bool = False
    host_api: int = HOST_API


def hello_of(engine: Engine) -> HelloReply:
    """Read an engine's description once, before it serves. Exceptions and invalid values end the start."""
    voices = engine.voices() if isinstance(engine, EngineVoices) else ()
    # An empty list is no error: some engines learn their voices later.
    unlisted = getattr(engine, "unlisted_voices", ()) if voices else None
    tries = getattr(engine, "tries_unknown_voices", False)
    welcome = HelloReply(API_VERSION, engine.slots, engine.models(), voices, unlisted, tries)
    try:
        return msgspec.convert(msgspec.to_builtins(welcome), HelloReply)
    except msgspec.ValidationError as error:
        raise EngineFailed(f"The engine describes itself wrongly: {error}.") from None


class HealthQuestion(msgspec.Struct, frozen=True):
    pass


class HealthReport(msgspec.Struct, frozen=True):
    """A host's state. `waiting_s` is the estimated audio of all waiting jobs, and a text that came now would
    wait for `wait_s`. `memory_gb` is the most that it has used on its device so far. `figures` are those of a
    batch and of a card, as `BatchFigures` and `DeviceFigures` name them."""

    slots: int
    running: int
    waiting: int
    waiting_s: float = 0.0
    device: Line = ""
    memory_gb: float = 0.0
    figures: Annotated[dict[Line, float], msgspec.Meta(max_length=200)] = {}
    wait_s: float = 0.0


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The last frame of an answer that failed."""

    error: Line
    message: Text
    retry_after_s: float | None = None
    detail: Text = ""

    @classmethod
    def of(cls, error: EngineError) -> Failed:
        return cls(name_of(error), cut(error.message), error.retry_after_s, cut(error.detail))

    def to_error(self) -> EngineError:
        message, detail = cut(self.message), cut(self.detail)
        return error_named(self.error, message, detail=detail, retry_after_s=self.retry_after_s)


class MissingSamples(Redacted, msgspec.Struct, frozen=True, tag="missing"):
    """The only frame of an answer to work whose recordings are not in the host."""

    digests: Annotated[tuple[Line, ...], msgspec.Meta(max_length=1_000)]


class PutSample(Redacted, msgspec.Struct, frozen=True):
    """A recording for the jobs of one tenant with one model: 16-bit mono, at the model's `sample_hz`.

    With a `size`, it is no recording but a piece of a trained voice's file of so many bytes, from `begin` on:
    a file may be larger than a message.
    """

    tenant: str
    model: str
    digest: str
    rate_hz: int
    pcm: bytes
    begin: int = 0
    size: int = 0


class PutReply(msgspec.Struct, frozen=True):
    """The host has the recording. Otherwise it `failed`: it has no room, or another rate."""

    failed: Failed | None = None


class DropSamples(Redacted, msgspec.Struct, frozen=True):
    """The recordings to forget, of every tenant and model, with all that was derived from them."""

    digests: tuple[str, ...]


class DropReply(msgspec.Struct, frozen=True):
    """The host has forgotten them, and no job uses them any more."""


class Begin(msgspec.Struct, frozen=True, tag="begin"):
    """The first message of a call. `call` names it on the supervisor's pipe; it has no part of the text.

    With `alone`, the host runs it alone, since it may have killed another process.
    """

    call: str
    work: Work
    alone: bool = False


class Pcm(Redacted, msgspec.Struct, frozen=True, tag="pcm"):
    """The next piece of the recording that the engine converts."""

    data: bytes


Input = Begin | Pcm
Frame = Event | Failed | MissingSamples

RUN = "Run"
RUN_WITH_INPUT = "RunWithInput"
PUT = "Put"
DROP = "Drop"


def target(address: str) -> str:
    """Return an address as gRPC names it: that of a Unix socket is a path."""
    return f"unix:{address}" if address.startswith("/") else address


def method(name: str) -> str:
    return f"/{SERVICE}/{name}"


encode = msgspec.msgpack.Encoder().encode


def decoder(type_: Any) -> Any:
    """Return a `bytes → value` function for one message type."""
    return msgspec.msgpack.Decoder(type_).decode


_decode_hello = decoder(HelloReply)


def decode_hello(data: bytes) -> HelloReply:
    """Return an engine's description. Raises ValueError if it is too long, or cannot be read."""
    if len(data) > MOST_HELLO_BYTES:
        raise ValueError(f"it has {len(data)} bytes, and {MOST_HELLO_BYTES} are allowed")
    hello: HelloReply = decoded(_decode_hello, data)
    return hello
