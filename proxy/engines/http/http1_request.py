"""The head of a request to a provider, made once for many requests, and a form as its body."""

from __future__ import annotations

import re
import secrets
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from proxy.engines.http.forward_proxy import ForwardProxy, basic_of
from speech_engine import EngineUnavailable
from speech_engine.http import HttpForm

Headers = tuple[tuple[str, str], ...]

_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?|[0-9A-Fa-f:.]+")
_METHODS = frozenset({"DELETE", "GET", "PATCH", "POST", "PUT"})
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_PORTS = {"http": 80, "https": 443}
_OURS = frozenset({"connection", "content-length", "expect", "host", "te", "transfer-encoding", "upgrade"})
"""The headers of the transport, which engines do not set."""
_URL_CHARACTERS = "!#$%&'()*+,/:;=?@[]~"
"""The characters of paths and queries. All others are quoted."""

DEFAULTS = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "voxgate"}
"""No compression: it gains nothing for audio, and delays the first bytes."""


class Origin(NamedTuple):
    """The server at the other end of a connection."""

    scheme: str
    host: str
    port: int
    via: ForwardProxy | None = None


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


def new_request_head(method: str, url: str, headers: Headers, via: ForwardProxy | None = None) -> RequestHead:
    """Return the head of a request.

    Raises EngineUnavailable for a header or an address that cannot be sent.
    """
    lines = _header_lines(headers, url)
    if method not in _METHODS:
        raise EngineUnavailable(f"The provider cannot be asked: '{method}' is no method of requests.")
    origin, host, target = _split_url(url)
    if via is not None and origin.scheme == "http":
        # The proxy reads the request, and sends it on.
        target, lines = f"http://{host}{target}", via.header_lines.encode() + lines
    first = f"{method} {target} HTTP/1.1\r\nhost: {host}\r\n".encode("ascii")
    # By RFC 9110, only these may be sent twice: a POST may have been charged.
    may_repeat = method in ("DELETE", "GET", "PUT")
    return RequestHead(origin._replace(via=via), first + lines, may_repeat, method not in ("DELETE", "GET"))


request_head = lru_cache(maxsize=256)(new_request_head)
"""As `new_request_head`, and made once: an engine sends the same head again and again."""


def check_headers(headers: Headers) -> None:
    """Raise EngineUnavailable if a header contains a line end: the rest of it would be another header."""
    for name, value in headers:
        if not _HEADER_NAME.fullmatch(name) or _CONTROL.search(value):
            raise EngineUnavailable(
                "A header of the request cannot be sent: it has a character that ends it."
            )


def _split_url(url: str) -> tuple[Origin, str, str]:
    """Return the server of an address, the value of its header `host`, and the path with the query."""
    try:
        parts = urlsplit(url)
        scheme, host = parts.scheme, _host(parts.hostname or "")
        port = _PORTS[scheme] if parts.port is None else parts.port
        if port == 0:
            raise ValueError("no port")
    except (ValueError, KeyError):
        raise EngineUnavailable("The provider cannot be reached: its address is no URL of one.") from None
    shown = f"[{host}]" if ":" in host else host
    path = quote(parts.path, safe=_URL_CHARACTERS) or "/"
    query = f"?{quote(parts.query, safe=_URL_CHARACTERS)}" if parts.query else ""
    return Origin(scheme, host, port), shown if port == _PORTS[scheme] else f"{shown}:{port}", path + query


def _host(name: str) -> str:
    """Return a name in the form of DNS. Raises ValueError for an invalid name."""
    host = name if name.isascii() else name.encode("idna").decode()
    if not _HOST.fullmatch(host):
        raise ValueError("no name of a host")
    return host


def _header_lines(headers: Headers, url: str) -> bytes:
    check_headers(headers)
    named = {name.lower(): value.strip(" \t") for name, value in headers}
    if ours := named.keys() & _OURS:
        raise EngineUnavailable(f"The header '{min(ours)}' cannot be sent: it says how a request is sent.")
    # The address may have a password. The engine's own key has priority.
    always = DEFAULTS | ({"authorization": basic} if "@" in url and (basic := basic_of(url)) else {})
    lines = [f"{name}: {value}\r\n" for name, value in (always | named).items()]
    return "".join(lines).encode()


_QUOTED = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})
"""HTML's escapes in names: a quote or an end of line would end the header."""


def form_body(form: HttpForm) -> tuple[str, bytes]:
    """Return the content type and the bytes of a form. Raises EngineUnavailable for a media type that would
    end its line."""
    boundary = secrets.token_hex(16)
    parts = [_part(f'name="{_quoted(name)}"', "", value.encode()) for name, value in form.fields]
    for file in form.files:
        if not file.media_type.isascii() or not file.media_type.isprintable():
            raise EngineUnavailable("A file cannot be sent: its media type has a character that ends a line.")
        names = f'name="{_quoted(file.field)}"; filename="{_quoted(file.name)}"'
        parts.append(_part(names, f"content-type: {file.media_type}\r\n", file.data))
    line = f"--{boundary}\r\n".encode()
    pieces = [piece for part in parts for piece in (line, *part)]
    # One copy, as a recording may have 10 MB.
    body = b"".join([*pieces, f"--{boundary}--\r\n".encode()])
    return f"multipart/form-data; boundary={boundary}", body


def _part(names: str, media_type: str, data: bytes) -> tuple[bytes, bytes, bytes]:
    return f"content-disposition: form-data; {names}\r\n{media_type}\r\n".encode(), data, b"\r\n"


def _quoted(name: str) -> str:
    return name.translate(_QUOTED)
