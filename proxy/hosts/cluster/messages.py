"""The messages of `voxgate.Agent`, the service of a `voxgate host` for its gateways, as msgpack.

Both sides of a Watch send a tick each second, since gRPC does not notice a frozen peer.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from speech_engine.bounds import Line, Text
from speech_engine.host.cluster_messages import HostLoad
from speech_engine.host.messages import HOST_API
from speech_engine.host.pipe_messages import EngineAction, HostState

SERVICE = "voxgate.Agent"

TICK_S = 1.0
SILENT_S = 3.2
"""Three missing ticks: the other side is dead, frozen or cut off."""

OPTIONS: list[tuple[str, int]] = [
    ("grpc.max_receive_message_length", 2 * 1024 * 1024),
    # gRPC takes at most `lookahead_bytes` ahead of the reader. Its probe would raise that.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 64 * 1024),
    ("grpc.so_reuseport", 0),
    # A subchannel that another channel has left in its back-off would keep this one waiting.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


class HostHello(msgspec.Struct, frozen=True, tag="hello"):
    """The first message of a host. `machine` is the id of this start of it."""

    machine: Annotated[Line, msgspec.Meta(min_length=1)]
    host_api: int = HOST_API


class ProcessLoad(msgspec.Struct, frozen=True):
    engine: Line
    process: int
    load: HostLoad


class HostTick(msgspec.Struct, frozen=True, tag="tick"):
    """A host's sign of life, once a second, with how many gateways watch it."""

    loads: Annotated[tuple[ProcessLoad, ...], msgspec.Meta(max_length=1_000)] = ()
    watches: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 1


class HostLeaves(msgspec.Struct, frozen=True, tag="leaves"):
    """The host finishes its work, and wants no more."""


class HostEnded(msgspec.Struct, frozen=True, tag="ended"):
    """The last message: the host's processes have ended, and nothing is left in memory."""


class GatewayHello(msgspec.Struct, frozen=True, tag="hello"):
    """The first message of a gateway. `machine` is the id of this start of it."""

    machine: Line


class GatewayTick(msgspec.Struct, frozen=True, tag="tick"):
    """A gateway's sign of life, once a second."""


class SwitchQuestion(msgspec.Struct, frozen=True):
    """Load, unload or restart an engine of this host."""

    engine: Line
    action: EngineAction
    breaks_off: bool = False


class SwitchReply(msgspec.Struct, frozen=True):
    """With a `refusal`, nothing has changed."""

    refusal: Text = ""


HostMessage = HostHello | HostState | HostTick | HostLeaves | HostEnded
GatewayMessage = GatewayHello | GatewayTick


def method(name: str) -> str:
    return f"/{SERVICE}/{name}"
