"""Checks the addresses from which a file may come: https, or on this machine also http. The names of hosts
are checked, but not the IP addresses to which they resolve: TLS prevents a private service from answering
under another name."""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

_PORTS = {"https": 443, "http": 80}
_HOST = re.compile(r"[a-z0-9._:-]+")
"""Other letters are refused: some are other spellings of digits."""
_LOCALHOST = "localhost"
_LOCAL_NAMES = {_LOCALHOST, "localhost.localdomain", "localhost6", "ip6-localhost", "ip6-loopback"}


class FetchFailed(Exception):
    """A file cannot be fetched, is the wrong file, or its address is refused. The message gives the
    reason."""


class Address(NamedTuple):
    """An address that passed the checks. Credentials are sent to its `origin` alone: scheme, host and
    port."""

    url: str
    origin: tuple[str, str, int]
    is_local: bool

    @property
    def host(self) -> str:
        return self.origin[1]


def parse_address(url: str, came_from: Address | None = None) -> Address:
    """Check an address, and return its parts. If `came_from` redirects to it and is remote, it may not be on
    this machine or be an IP address of a private network. Raise FetchFailed."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").casefold(), parts.port
    except ValueError:
        raise FetchFailed(f"{url[:200]!r} is no address") from None
    if not _HOST.fullmatch(host) or parts.scheme not in _PORTS or not url.isprintable() or " " in url:
        raise FetchFailed(f"{url[:200]!r} is no address that begins with https://")
    if parts.username is not None or parts.password is not None:
        raise FetchFailed(f"the address of {host} has a password in it")
    ip = _ip_address_of(host)
    is_local = ip.is_loopback if ip else host.rstrip(".") == _LOCALHOST
    if came_from is not None and not came_from.is_local and came_from.host != host:
        if is_local or _is_local_name(host.rstrip(".")):
            raise FetchFailed(f"{came_from.host} leads to this machine itself")
        if ip and not ip.is_global:
            raise FetchFailed(f"{came_from.host} leads to {host}, which is not in the internet")
    if parts.scheme == "http" and not is_local:
        raise FetchFailed(f"http://{host} is not encrypted; use https://")
    return Address(url, (parts.scheme, host, port or _PORTS[parts.scheme]), is_local)


def _is_local_name(name: str) -> bool:
    return name in _LOCAL_NAMES or name.endswith(f".{_LOCALHOST}")


def _ip_address_of(host: str) -> IPv4Address | IPv6Address | None:
    """Return the IP address that a host's name spells, in any notation that a system accepts. None: it is a
    name."""
    try:
        ip = ip_address(host)
    except ValueError:
        try:
            return IPv4Address(socket.inet_aton(host.rstrip(".")))  # 127.1, 2130706433, 0x7f.1
        except OSError:
            return None
    if isinstance(ip, IPv6Address):
        return ip.ipv4_mapped or ip.sixtofour or ip
    return ip
