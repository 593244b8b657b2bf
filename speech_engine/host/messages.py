"""The messages between the server and a host, as msgpack: a unary Hello and Health, a streamed Speak.

A host's failures are data (`Failed`, always the last frame); the transport's statuses are for transport.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from speech_engine.errors import EngineError, error_named, name_of
from speech_engine.events import Audio, Encoded, Finished, Started, Words
from speech_engine.models import ModelInfo, VoiceInfo

SERVICE = "voxgate.Host"

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
    """The server's greeting; a host of another API version answers Welcome with its own and serves nobody."""

    api_version: int


class HelloReply(msgspec.Struct, frozen=True):
    api_version: int
    slots: Annotated[int, msgspec.Meta(ge=1)]
    models: tuple[ModelInfo, ...]
    voices: tuple[VoiceInfo, ...]


class HealthQuestion(msgspec.Struct, frozen=True):
    pass


class HealthReport(msgspec.Struct, frozen=True):
    """A host's state. `waiting_s` is the estimated audio of all waiting jobs."""

    slots: int
    running: int
    waiting: int
    waiting_s: float = 0.0


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The last frame of an answer that failed."""

    error: str
    message: str
    may_fall_back: bool
    retry_after_s: float | None = None

    @classmethod
    def of(cls, error: EngineError) -> Failed:
        return cls(name_of(error), error.message, error.may_fall_back, error.retry_after_s)

    def to_error(self) -> EngineError:
        return error_named(self.error, self.message, retry_after_s=self.retry_after_s)


TAKEN = "voxgate-taken"
"""The key in Speak's initial metadata that says: the host has the job. A lost call lacks this key."""

Frame = Started | Audio | Encoded | Words | Finished | Failed


def method(name: str) -> str:
    return f"/{SERVICE}/{name}"


encode = msgspec.msgpack.Encoder().encode


def decoder(type_: Any) -> Any:
    """Return a `bytes → value` function for one message type."""
    return msgspec.msgpack.Decoder(type_).decode
