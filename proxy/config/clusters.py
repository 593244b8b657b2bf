"""[host] and [clusters.NAME]: engines on other machines, from the side of the machine and of its gateways."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, NamedTuple, Protocol

import msgspec

from proxy.config import addresses

_NAME_AND_PORT = re.compile(r"(?P<name>[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):(?P<port>[0-9]{1,5})")
_MOST_PORT = 65535

_File = Annotated[str, msgspec.Meta(description='a file, relative to the config file, or ""')]


class HostAddress(NamedTuple):
    """The address of an agent. An IPv6 `name` has no brackets here, but `str` gives them back."""

    name: str
    port: int

    def __str__(self) -> str:
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return addresses.is_local(self.name)

    @property
    def is_any(self) -> bool:
        """Whether it is 0.0.0.0 or [::], which stands for all addresses of a machine and leads to none."""
        try:
            return ipaddress.ip_address(self.name).is_unspecified
        except ValueError:
            return False


def address_of(text: str) -> HostAddress:
    """Return the parts of "NAME:PORT". Raises ValueError for any other text."""
    found = _NAME_AND_PORT.fullmatch(text)
    if found is None or not 0 < int(found["port"]) <= _MOST_PORT:
        raise ValueError(f"{text!r} is no NAME:PORT")
    name = found["name"].strip("[]")
    if name != found["name"]:
        ipaddress.IPv6Address(name)
    return HostAddress(name, int(found["port"]))


class TlsFiles(Protocol):
    """A section with the files of mutual TLS: all three, or none of them."""

    @property
    def certificate(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def authority(self) -> str: ...


class HostSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[host]: a machine with engines for gateways. Without `listen` it is none.

    Each life of an engine's process has a port of its own among the `ports` after that of `listen`. Paths are
    absolute, and `api_key` is resolved.
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
    certificate: _File = ""
    key: _File = ""
    authority: _File = ""
    gateways: Annotated[
        tuple[
            Annotated[
                str,
                msgspec.Meta(
                    # Plain HTTP is for trials on one machine only: the key goes with it.
                    pattern=r"^(https://[^\s/?#@]+|http://(127\.0\.0\.1|localhost)(:\d{1,5})?)(/[^\s?#]*)?\Z",
                    max_length=300,
                ),
            ],
            ...,
        ],
        msgspec.Meta(description='a list of addresses, ["https://…"]'),
    ] = ()
    api_key: Annotated[str, msgspec.Meta(description='"env:NAME" or "file:PATH", or ""')] = ""

    @property
    def announced(self) -> HostAddress:
        """Where gateways reach it. Raises ValueError where it does not listen."""
        listen = address_of(self.listen)
        return listen._replace(name=self.address.strip("[]")) if self.address else listen

    def __repr__(self) -> str:
        return f"<HostSection {self.listen}>"


class ClusterSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[clusters.NAME]: the hosts of engines with this `cluster`, on other machines. Paths are absolute."""

    hosts: Annotated[
        tuple[str, ...], msgspec.Meta(description='a list of names with ports, ["gpu1:7070", "…"]')
    ] = ()
    certificate: _File = ""
    key: _File = ""
    authority: _File = ""
    most_hosts: Annotated[int, msgspec.Meta(ge=1, le=1000, description="a number of hosts, 1 to 1000")] = 64
    announced: Annotated[bool, msgspec.Meta(description="true or false")] = False

    def __repr__(self) -> str:
        return f"<ClusterSection {len(self.hosts)} hosts>"
