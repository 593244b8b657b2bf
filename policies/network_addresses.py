"""The network addresses that the server may call because an account has named them."""

from __future__ import annotations

import re
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
