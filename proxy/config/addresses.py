"""The addresses in `[storage] url` and `[limits] url`: their checks, and their display without a password.

A check raises ValueError with the right form. No message repeats an address: it may hold a password.
"""

from __future__ import annotations

import errno
import ipaddress
import os
from urllib.parse import SplitResult, parse_qs, urlsplit

_SQLITE = "sqlite"
_POSTGRES = ("postgresql://", "postgres://")
_STORAGE = f'"{_SQLITE}" or "postgresql://USER:PASSWORD@HOST/DATABASE"'

_MEMORY = "memory"
_REDIS = ("redis://", "rediss://")
_SOCKET = "unix://"
_LIMITS = f'"{_MEMORY}", "redis://USER:PASSWORD@HOST:PORT/NUMBER", "rediss://…" or "unix:///PATH"'
_OPTIONS = {"redis": set[str](), "rediss": {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}, "unix": {"db"}}
"""The options that may follow a `?`. Others would undo our timeouts, or fail during a request."""


def check_storage(url: str) -> None:
    """Raise ValueError if this is no address of a store."""
    if url == _SQLITE:
        return
    if not url.startswith(_POSTGRES):
        raise ValueError(f"unknown kind of storage; it must be {_STORAGE}")
    if not _is_readable(url):
        raise ValueError(f"the address cannot be read; it must be {_STORAGE}, with / in a password as %2F")


def is_postgres(url: str) -> bool:
    return url.startswith(_POSTGRES)


def show_storage(url: str) -> str:
    """Return `host:port/database`, for messages: without user, password and parameters."""
    if not is_postgres(url):
        return _SQLITE
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2] or parse_qs(parts.query).get("host", [""])[0] or "the local socket"
    return f"{host}{parts.path}"


def check_limits(url: str) -> None:
    """Raise ValueError if this is no address of a store for counts."""
    if is_memory(url):
        return
    if not url.startswith((*_REDIS, _SOCKET)):
        raise ValueError(f"unknown kind of limits; it must be {_LIMITS}")
    if not _is_readable(url) or not _is_redis_address(url):
        raise ValueError(f"the address cannot be read; it must be {_LIMITS}, with / in a password as %2F")


def is_memory(url: str) -> bool:
    return url == _MEMORY


def show_limits(url: str) -> str:
    """Return `host:port/number` or a socket's path, for messages: without user, password and parameters."""
    if is_memory(url):
        return _MEMORY
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"


def _is_readable(url: str) -> bool:
    """Tell whether host and port can be separated from the rest, for one server or for several."""
    try:
        hosts = urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        return False
    # A password with a / or # in it ends the host too early. The rest of it must not be shown as a host.
    ports = [host.rpartition(":")[2] for host in hosts.split(",") if ":" in host.rpartition("]")[2]]
    return url.isprintable() and " " not in url and all(not port or port.isdecimal() for port in ports)


def _is_redis_address(url: str) -> bool:
    parts = urlsplit(url)
    options = parse_qs(parts.query, keep_blank_values=True)
    number = options.get("db", [""])[0] if url.startswith(_SOCKET) else parts.path.removeprefix("/")
    return (
        _names_one_server(parts)
        and (not number or number.isdecimal())
        and options.keys() <= _OPTIONS[parts.scheme]
        and not parts.fragment
    )


def _names_one_server(parts: SplitResult) -> bool:
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme == "unix":
        return not host and len(parts.path) > 1
    try:
        return bool(parts.hostname) and "," not in host and parts.port != 0
    except ValueError:  # a port above 65535
        return False


def is_local(host: str) -> bool:
    """Tell whether only this machine can reach a server on this host."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def why_not_listening(error: Exception) -> str:
    """Return the reason without Python's errno, which is in the text twice."""
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        return "the port is taken"
    # Numbers below 0 are those of a failed look-up of a name, which have their own texts.
    return os.strerror(number) if number and number > 0 else getattr(error, "strerror", None) or str(error)
