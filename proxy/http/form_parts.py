"""The parts of multipart/form-data: a boundary, the head of a part, and the refusal of what is neither."""

from __future__ import annotations

import re
from typing import NamedTuple

from proxy.errors import InvalidRequest, UnsupportedMediaType

_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
# A parameter of a header: its value is a token, or a quoted text in which a backslash quotes the next byte.
_PARAMETER = re.compile(rb';[ \t]*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))[ \t]*')
_QUOTED = re.compile(rb"\\(.)")
_PLAIN_ENCODINGS = (b"", b"binary", b"8bit", b"7bit")


class FormPart(NamedTuple):
    """The head of a part. `file_name` is None if the part is a text."""

    name: str
    file_name: bytes | None
    media_type: str


def boundary_of(content_type: bytes) -> bytes:
    kind, _, _ = content_type.partition(b";")
    if kind.strip().lower() != b"multipart/form-data":
        raise UnsupportedMediaType("Send a form, with content-type: multipart/form-data.")
    boundary = _parameters(content_type[len(kind) :]).get(b"boundary", b"")
    if not _BOUNDARY.fullmatch(boundary):
        raise broken_form("the header 'Content-Type' has no boundary of 1 to 70 characters")
    return boundary


def part_of(head: bytes) -> FormPart:
    headers: dict[bytes, bytes] = {}
    for line in head.split(b"\r\n") if head else ():
        name, colon, value = line.partition(b":")
        if not colon or name.strip().lower() in headers:
            raise broken_form("a part has a line in its head that is no header, or the same header twice")
        headers[name.strip().lower()] = value.strip()
    kind, _, _ = headers.get(b"content-disposition", b"").partition(b";")
    if kind.strip().lower() != b"form-data":
        raise broken_form("a part has no header 'Content-Disposition: form-data'")
    given = _parameters(headers[b"content-disposition"][len(kind) :])
    if headers.get(b"content-transfer-encoding", b"").lower() not in _PLAIN_ENCODINGS:
        raise broken_form("a part is encoded; send its bytes as they are")
    media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    file_name = given.get(b"filename", given.get(b"filename*"))
    return FormPart(_name(given.get(b"name", b"")), file_name, media_type.decode("latin-1"))


def _name(raw: bytes) -> str:
    name = raw.decode("utf-8", "replace")
    if not name or len(name) > 100 or not name.isprintable():
        raise broken_form("a part has no name, or one that is not 1 to 100 printable characters")
    return name


def _parameters(text: bytes) -> dict[bytes, bytes]:
    """Read `; name=value` as often as it stands there. Raises InvalidRequest for anything else."""
    given: dict[bytes, bytes] = {}
    at = 0
    while at < len(text):
        found = _PARAMETER.match(text, at)
        if found is None or found[1].lower() in given:
            if not text[at:].strip(b"; \t"):
                break
            raise broken_form("the parameters of a header cannot be read")
        quoted = found[2]
        given[found[1].lower()] = found[3] if quoted is None else _QUOTED.sub(rb"\1", quoted)
        at = found.end()
    return given


def broken_form(fault: str) -> InvalidRequest:
    return InvalidRequest(f"We could not read the form in your request: {fault}.", code="invalid_form")
