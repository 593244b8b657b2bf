"""The first bytes of a request to a provider: its address, read once, and its headers, written once."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from speech_engine import EngineUnavailable

Headers = tuple[tuple[str, str], ...]

_ADDRESS = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?(?P<query>\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?"
)
_DOTS = re.compile(r"/\.\.?(?:/|\Z)")
_METHODS = frozenset({"DELETE", "GET", "PATCH", "POST", "PUT"})
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_PORTS = {"http": 80, "https": 443}
_OURS = frozenset({"connection", "content-length", "expect", "host", "te", "transfer-encoding", "upgrade"})
"""Headers that say how a request is sent. An engine that sets one gets what it asks for, from aiohttp."""

DEFAULTS = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "voxgate"}
"""Compressed audio gains nothing, and comes in lumps."""


class Origin(NamedTuple):
    """The server at the other end of a connection."""

    scheme: str
    host: str
    port: int


class RequestHead(NamedTuple):
    """`data` is all of a request up to the length of its body."""

    origin: Origin
    data: bytes
    may_repeat: bool
    has_body: bool

    def __repr__(self) -> str:
        return "<RequestHead>"  # an address or a header may hold a key

    def with_body(self, body: bytes) -> bytes:
        if not body and not self.has_body:
            return self.data + b"\r\n"
        return b"%bcontent-length: %d\r\n\r\n%b" % (self.data, len(body), body)


@lru_cache(maxsize=256)
def request_head(method: str, url: str, headers: Headers) -> RequestHead | None:
    """Return the head of a plain request, or None if aiohttp must send the request. It is made once.

    Raises EngineUnavailable for a header that must not be sent: nobody was asked.
    """
    lines = _lines(headers)
    place = _place(url)
    if lines is None or place is None or method not in _METHODS:
        return None
    origin, host, target = place
    first = f"{method} {target} HTTP/1.1\r\nhost: {host}\r\n".encode("ascii")
    # As RFC 9110 has it: a POST may have been charged for, and is never sent twice.
    may_repeat = method in ("DELETE", "GET", "PUT")
    return RequestHead(origin, first + lines, may_repeat, method not in ("DELETE", "GET"))


def check_headers(headers: Headers) -> None:
    """Raise EngineUnavailable if a header would end its line: what follows it would be another header."""
    for name, value in headers:
        if not _NAME.fullmatch(name) or _CONTROL.search(value):
            raise EngineUnavailable(
                "A header of the request cannot be sent: it has a character that ends it."
            )


def _place(url: str) -> tuple[Origin, str, str] | None:
    found = _ADDRESS.fullmatch(url)
    if found is None or _DOTS.search(found["path"] or ""):
        return None
    scheme, host = found["scheme"], found["host"].lower()
    port = int(found["port"] or _PORTS[scheme])
    if not 0 < port < 65_536:
        return None
    shown = host if port == _PORTS[scheme] else f"{host}:{port}"
    return Origin(scheme, host.strip("[]"), port), shown, (found["path"] or "/") + (found["query"] or "")


def _lines(headers: Headers) -> bytes | None:
    check_headers(headers)
    given = {name.lower(): value.strip(" \t") for name, value in headers}
    if given.keys() & _OURS or given.get("accept-encoding", "identity") != "identity":
        return None
    lines = [f"{name}: {value}\r\n" for name, value in (DEFAULTS | given).items()]
    return "".join(lines).encode()
