"""The address in `[storage] url`: which database it names, and how to say so without its password."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

_SQLITE = "sqlite"
_POSTGRES = ("postgresql://", "postgres://")
_EXPECTED = f'"{_SQLITE}" or "postgresql://USER:PASSWORD@HOST/DATABASE"'


def check_url(url: str) -> None:
    """Raises ValueError, saying what would be right; never repeats the url, which may hold a password."""
    if url == _SQLITE:
        return
    if not url.startswith(_POSTGRES):
        raise ValueError(f"unknown kind of storage; it must be {_EXPECTED}")
    if not is_readable(url):
        raise ValueError(f"the address cannot be read; it must be {_EXPECTED}, with / in a password as %2F")


def is_postgres(url: str) -> bool:
    return url.startswith(_POSTGRES)


def shown(url: str) -> str:
    """`host:port/database`, for messages: no user, no password, no parameters."""
    if not is_postgres(url):
        return _SQLITE
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2] or parse_qs(parts.query).get("host", [""])[0] or "the local socket"
    return f"{host}{parts.path}"


def is_readable(url: str) -> bool:
    """Whether host and port can be told from the rest, of one server or of several."""
    try:
        hosts = urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        return False
    # A password with a / or # in it ends the host too early; what is left of it must not be shown as one.
    ports = [host.rpartition(":")[2] for host in hosts.split(",") if ":" in host.rpartition("]")[2]]
    return url.isprintable() and " " not in url and all(not port or port.isdecimal() for port in ports)
