"""The address in `[limits] url`: memory or which Redis, and how to say so without its password."""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qs, urlsplit

from proxy.config.storage_address import is_readable

_MEMORY = "memory"
_REDIS = ("redis://", "rediss://")
_SOCKET = "unix://"
_OPTIONS = {"redis": set[str](), "rediss": {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}, "unix": {"db"}}
"""What may come after a ?; other options would undo the timeouts that are ours, or fail in mid-request."""
_EXPECTED = f'"{_MEMORY}", "redis://USER:PASSWORD@HOST:PORT/NUMBER", "rediss://…" or "unix:///PATH"'


def check_url(url: str) -> None:
    """Raises ValueError, saying what would be right; never repeats the url, which may hold a password."""
    if is_memory(url):
        return
    if not url.startswith((*_REDIS, _SOCKET)):
        raise ValueError(f"unknown kind of limits; it must be {_EXPECTED}")
    if not is_readable(url) or not _is_whole(url):
        raise ValueError(f"the address cannot be read; it must be {_EXPECTED}, with / in a password as %2F")


def is_memory(url: str) -> bool:
    return url == _MEMORY


def shown(url: str) -> str:
    """`host:port/number` or a socket's path, for messages: no user, no password, no parameters."""
    if is_memory(url):
        return _MEMORY
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"


def _is_whole(url: str) -> bool:
    """Redis's own client would take its defaults for what it cannot read, and count in another place."""
    parts = urlsplit(url)
    options = parse_qs(parts.query, keep_blank_values=True)
    number = options.get("db", [""])[0] if url.startswith(_SOCKET) else parts.path.removeprefix("/")
    return (
        _is_place(parts)
        and (not number or number.isdecimal())
        and options.keys() <= _OPTIONS[parts.scheme]
        and not parts.fragment
    )


def _is_place(parts: SplitResult) -> bool:
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme == "unix":
        return not host and len(parts.path) > 1
    try:
        return bool(parts.hostname) and "," not in host and parts.port != 0
    except ValueError:  # a port above 65535
        return False
