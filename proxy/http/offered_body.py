"""The body of a request that offers another protocol, as curl's `--http2` does.

httptools' parser ends at such a head. Without this, the body would be read as the next request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import httptools

_FRAMING = (b"content-length", b"transfer-encoding")


class BodyReader(Protocol):
    """The protocol that gets the body."""

    def on_body(self, body: bytes) -> None: ...

    def on_message_complete(self) -> None: ...


class _BodyCallbacks:
    """A parser's callbacks. It has none for heads, so bytes after the body are not read as a request."""

    def __init__(self, reader: BodyReader) -> None:
        self.on_body: Callable[[bytes], None] = reader.on_body
        self.on_message_complete = reader.on_message_complete


def framing_head(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Return a head that says how long the body of a request is, or nothing if there is no body."""
    fields = [(name, value) for name, value in headers if name in _FRAMING]
    if all(name == b"content-length" and not value.strip(b"0") for name, value in fields):
        return b""
    return b"POST / HTTP/1.1\r\n%b\r\n" % b"".join(b"%b: %b\r\n" % field for field in fields)


def body_parser(reader: BodyReader) -> Any:
    """Return a parser of one body. Feed it the result of `framing_head`, and then the body."""
    return httptools.HttpRequestParser(_BodyCallbacks(reader))
