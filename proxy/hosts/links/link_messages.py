"""The messages about links: a worker's packet with a connection, and the pipe of the links process."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from speech_engine.host.pipe_messages import Broken, Drain, Ready
from speech_engine.redacted import Redacted

SUBPROTOCOL = "voxgate.link.1"
AGENT = "agent"
"""The target of a host's own server. A process's name is its engine, its number and its start."""
MACHINE = re.compile(r"mch_[0-9a-f]{24}")
TARGET = re.compile(r"agent|[a-z0-9_-]{1,64}\.[0-9]{1,4}\.[0-9]{1,9}")
"""A name of a peer becomes the name of a socket on the host, so it has no other letters."""
INBOX = "links.sock"


class Joining(msgspec.Struct, frozen=True):
    """A handshake that a worker has checked. `places` is how many hosts its key may have. `cluster` is ""
    for a key of all clusters. `handshake_key` is that of RFC 6455."""

    key: str
    account: str
    cluster: str
    places: int
    machine: str
    version: str
    engines: tuple[str, ...]
    address: str
    handshake_key: str


class BeginLinks(msgspec.Struct, frozen=True, tag="begin_links"):
    """The first message to the links process. `machine` is the id of this start of the gateway."""

    folder: str
    machine: str
    drain_s: float


class BeginDialling(Redacted, msgspec.Struct, frozen=True, tag="begin_dialling"):
    """The first message to a host's dialling process. `folder` has the sockets of its agent and processes.
    `api_key` is a key, or `file:` and the path of one. `authority` is a file with an own authority, or "" for
    those of the system."""

    gateways: tuple[str, ...]
    api_key: str
    machine: str
    version: str
    engines: tuple[str, ...]
    folder: str
    authority: str = ""


class Gateways(msgspec.Struct, frozen=True, tag="gateways"):
    """How many gateways a host must meet."""

    of: int


class HostTargets(msgspec.Struct, frozen=True, tag="host_targets"):
    """All sockets of a host: the target of each by its path."""

    machine: str
    paths: dict[str, str]


class KeysRead(msgspec.Struct, frozen=True, tag="keys_read"):
    """The keys of the links were read just now. `dead` are those that were revoked, or have ended."""

    dead: frozenset[str] = frozenset()


class HostJoined(msgspec.Struct, frozen=True, tag="host_joined"):
    """A host has links, or goes on with another key."""

    machine: str
    account: str
    key: str
    cluster: str
    version: str
    engines: tuple[str, ...]
    address: str


class HostGone(msgspec.Struct, frozen=True, tag="host_gone"):
    """A host has had no link for so long that it is forgotten."""

    machine: str


class LinkFigures(msgspec.Struct, frozen=True, tag="link_figures"):
    """The links by state, the refused ones by reason so far, and the bytes "in" from hosts and "out"."""

    links: dict[str, int]
    refused: dict[str, int]
    carried: dict[str, int]


LinkNews = HostJoined | HostGone | LinkFigures
ToLinks = BeginLinks | Gateways | HostTargets | KeysRead | Drain
OfLinks = Ready | Broken | LinkNews

unpack_to_dialling: Callable[[bytes], BeginDialling | Drain] = msgspec.msgpack.Decoder(
    BeginDialling | Drain
).decode
decode_joining: Callable[[bytes], Joining] = msgspec.msgpack.Decoder(Joining).decode
unpack_to_links: Callable[[bytes], ToLinks] = msgspec.msgpack.Decoder(ToLinks).decode
unpack_of_links: Callable[[bytes], OfLinks] = msgspec.msgpack.Decoder(OfLinks).decode
