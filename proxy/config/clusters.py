"""[host] and [clusters.NAME]: engines on other machines, from the side of the machine and of its gateways."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, NamedTuple

import msgspec

from speech_engine.redacted import Redacted

_NAME_AND_PORT = re.compile(r"(?P<name>[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):(?P<port>[0-9]{1,5})")

_File = Annotated[str, msgspec.Meta(description='a file, relative to the config file, or ""')]
# Plain HTTP is for trials on one machine only: the key goes with it.
Gateway = Annotated[
    str, msgspec.Meta(pattern=r"^(https://[^\s/?#@]+|http://(127\.0\.0\.1|localhost)(:\d+)?)(/[^\s?#]*)?\Z")
]


class HostAddress(NamedTuple):
    """The address of an agent. An IPv6 `name` has no brackets here, but `str` gives them back."""

    name: str
    port: int

    def __str__(self) -> str:
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"


def parse_address(text: str) -> HostAddress:
    """Return the parts of "NAME:PORT". Raises ValueError for any other text."""
    found = _NAME_AND_PORT.fullmatch(text)
    if found is None or not 0 < int(found["port"]) <= 65535:
        raise ValueError(f"{text!r} is no NAME:PORT")
    name = found["name"].strip("[]")
    if name != found["name"]:
        name = str(ipaddress.IPv6Address(name))
    return HostAddress(name, int(found["port"]))


class TlsFiles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The files of mutual TLS, with absolute paths: all three, or none between processes of one machine.

    `authority` is that of the other side.
    """

    certificate: _File = ""
    key: _File = ""
    authority: _File = ""


class HostSection(Redacted, TlsFiles, frozen=True, forbid_unknown_fields=True):
    """[host]: a machine with engines for gateways.

    Each start of an engine's process has a port of its own among the `ports` after that of `listen`.
    `api_key` is resolved.
    """

    listen: Annotated[str, msgspec.Meta(description='"ADDRESS:PORT", or "" for no host')] = ""
    address: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^[A-Za-z0-9._-]{0,253}\Z|^\[?[0-9A-Fa-f:.]{2,45}\]?\Z",
            description='a name or an IP address without a port, or "" for listen\'s',
        ),
    ] = ""
    ports: Annotated[int, msgspec.Meta(ge=1, le=1000, description="a number of ports, 1 to 1000")] = 64
    gateways: Annotated[
        tuple[Gateway, ...], msgspec.Meta(description='a list of addresses, ["https://…"]')
    ] = ()
    api_key: Annotated[str, msgspec.Meta(description='"env:NAME" or "file:PATH", or ""')] = ""

    @property
    def is_used(self) -> bool:
        """Whether this machine is a host. Its `listen` may come from an option."""
        return self != HostSection()

    @property
    def announced_address(self) -> HostAddress:
        """Where gateways reach it. Raises ValueError where it does not listen."""
        listen = parse_address(self.listen)
        return listen._replace(name=self.address.strip("[]")) if self.address else listen


class ClusterSection(TlsFiles, frozen=True, forbid_unknown_fields=True):
    """[clusters.NAME]: the hosts of engines with this `cluster`, on other machines.

    The processes of a host use the next `ports` ports after its own, so there are at most that many.
    """

    hosts: Annotated[
        tuple[str, ...], msgspec.Meta(description='a list of names with ports, ["gpu1:7070", "…"]')
    ] = ()
    most_hosts: Annotated[int, msgspec.Meta(ge=1, le=1000, description="a number of hosts, 1 to 1000")] = 64
    ports: Annotated[int, msgspec.Meta(ge=1, le=1000, description="a number of ports, 1 to 1000")] = 64
    announced: Annotated[bool, msgspec.Meta(description="true or false")] = False
    networks: Annotated[
        tuple[str, ...], msgspec.Meta(description='a list of networks, ["10.0.5.0/24", "…"]')
    ] = ()
