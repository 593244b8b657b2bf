"""The network addresses that the server may call because an account, or a host, has named them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network

_FIRST_FREE_PORT = 1024
# As in browsers: a host that ends in a number is an address, and a look-up takes 127.1 or 0x7f000001 for one.
_ADDRESS = re.compile(r".*:.*|(.*\.)?(\d+|0[xX][0-9a-fA-F]*)\.?")
_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
# Special purposes (IANA) that `is_global` takes for public: protocols, AS112, relays of multicast and 6to4,
# tunnels, documentation. The nearest machine may answer there, and a tunnel leads to any address.
_SPECIAL: tuple[Network, ...] = (
    *map(IPv4Network, ("192.0.0.0/24", "192.31.196.0/24", "192.52.193.0/24")),
    *map(IPv4Network, ("192.88.99.0/24", "192.175.48.0/24")),
    *map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")),
)
_PRIVATE: tuple[Network, ...] = (
    *map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")),
    IPv6Network("fc00::/7"),
)
# A cloud gives a machine its secrets at these addresses. The usual one, 169.254.169.254, is link-local.
_METADATA = frozenset(map(ip_address, ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16")))
_METADATA_NAMES = ("metadata", "instance-data")


def is_address(host: str) -> bool:
    """Tell whether a host is an IP address, in any spelling, and not a name."""
    return _ADDRESS.fullmatch(host) is not None


def port_fault(port: int) -> str | None:
    """Return why a port must not be called, or None: below 1024, other services answer."""
    is_open = port == 443 or port >= _FIRST_FREE_PORT
    return None if is_open else f"its port must be 443, or {_FIRST_FREE_PORT} and above"


def is_public(address: str) -> bool:
    """Tell whether an IP address is public on the internet. An address with a zone belongs to a link."""
    ip = _plain(address)
    if ip is None or (isinstance(ip, IPv6Address) and ip not in _UNICAST):
        return False
    is_special = any(ip in each for each in _SPECIAL)
    return ip.is_global and not (is_special or ip.is_multicast or ip.is_reserved)


def host_fault(host: str, networks: Sequence[Network] = (), *, may_be_local: bool = False) -> str | None:
    """Return why an announced host must not be at this name or address, or None.

    It must be at a public or a private address, in one of the `networks` if there are any. With
    `may_be_local` it may be on this machine. Judge a name again by the addresses that it leads to."""
    ip, name = _plain(host), host.lower().rstrip(".")
    is_local = ip.is_loopback if ip else f".{name}".endswith(".localhost")
    if is_local:
        return None if may_be_local else "it must lead to another machine"
    if ip is None:
        is_refused = is_address(host) or name.partition(".")[0] in _METADATA_NAMES
        return "it must be the name of a host, or an IP address in its usual form" if is_refused else None
    if ip in _METADATA or not (is_public(host) or any(ip in each for each in _PRIVATE)):
        return "it must be a public or a private address"
    is_inside = not networks or any(ip in each for each in networks)
    return None if is_inside else "it must be in the networks of its cluster"


def _plain(address: str) -> IPv4Address | IPv6Address | None:
    """Return the IP address, or the IPv4 address inside it. None: it is no address, or has a zone."""
    try:
        ip = ip_address(address)
    except ValueError:
        return None
    if isinstance(ip, IPv4Address):
        return ip
    if ip.scope_id is not None:
        return None
    return IPv4Address(int(ip) & 0xFFFF_FFFF) if ip in _NAT64 else ip.ipv4_mapped or ip
