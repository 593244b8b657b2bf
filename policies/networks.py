"""The two networks by which clients without an account are limited: a client's own, and a wider one around
it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

WIDER_TIMES = 3
"""How many times the limit of a client's own network the wider network has."""
_LONGEST_NAME = 64


def networks_of(address: str) -> tuple[str, str]:
    """Return the network that one client may use, and the one that its operator may have whole: an IPv4
    address and its /24, or the /64 and the /48 of an IPv6 address.

    A name that a trusted proxy gives to a client is both.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return address[:_LONGEST_NAME], address[:_LONGEST_NAME]
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    if isinstance(parsed, IPv6Address):
        return _network_text(parsed, 64), _network_text(parsed, 48)
    return str(parsed), _network_text(parsed, 24)


def _network_text(address: IPv4Address | IPv6Address, bits: int) -> str:
    return str(ip_network((address.packed, bits), strict=False))
