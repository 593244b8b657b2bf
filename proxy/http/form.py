"""Bodies of multipart/form-data, read in memory. Recordings never touch the disk in plain.

Parsers of frameworks write large files to the disk, and a push parser saves nothing here: the whole body is
in memory and bounded before its first byte is looked at. So this one searches for the boundaries, and each
odd case is a refusal that says what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

import msgspec
from starlette.requests import Request

from proxy.errors import InvalidRequest, UnsupportedMediaType
from proxy.http.body import open_body
from proxy.http.connection import Connection

MOST_FILE_BYTES = 10 * 1024 * 1024
MOST_PARTS = 40
MOST_HEAD_BYTES = 4096
MOST_TEXT_BYTES = 64 * 1024
MOST_OTHER_BYTES = 512 * 1024
"""Of all that is no file: texts, the heads of parts, boundaries."""
_MOST_NAME_BYTES = 255
"""Of a file. A text in the place of a file is taken for one, but what is so short only names it."""

_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
# A parameter of a header: its value is a token, or a quoted text in which a backslash quotes the next byte.
_PARAMETER = re.compile(rb';[ \t]*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))[ \t]*')
_QUOTED = re.compile(rb"\\(.)")
_PLAIN_ENCODINGS = (b"", b"binary", b"8bit", b"7bit")


class SentFile(msgspec.Struct, frozen=True):
    """A file of a form. `field` is the field that it came in. `called` is the name that the client gave it,
    which must not end up in paths and logs."""

    field: str
    media_type: str
    data: bytes
    called: str = ""

    def __repr__(self) -> str:
        return f"<SentFile {self.field}, {len(self.data)} bytes>"


class RequestForm(msgspec.Struct, frozen=True):
    """A form. A field that came more than once, or as `tags[]`, has all its values in order."""

    fields: dict[str, list[str]]
    files: dict[str, SentFile]

    def __repr__(self) -> str:
        return f"<RequestForm {sorted(self.fields)}, {list(self.files.values())!r}>"


class FormPart(NamedTuple):
    """A part of a form. Of a file that is read piece by piece, `data` is empty."""

    name: str
    file_name: bytes | None
    media_type: str
    data: bytes

    @property
    def is_file(self) -> bool:
        return self.file_name is not None

    @property
    def is_left_empty(self) -> bool:
        """Whether it is what a browser sends for a file that was not chosen."""
        return self.file_name == b"" and not self.data


async def read_form(
    request: Request | Connection, *, files: Mapping[str, int], fields: Collection[str]
) -> RequestForm:
    """Read a body that may have these files, each with the most bytes of it, and these texts.

    As in a JSON body, a text under any other name is ignored. Raises UnsupportedMediaType, InvalidRequest,
    which names the field, and what `Connection.body` raises. `labels[x]` belongs to `labels`, and keeps
    its name.
    """
    connection = open_body(request)
    boundary = boundary_of(connection.header(b"content-type").encode("latin-1"))
    body = await connection.body(sum(files.values()) + MOST_OTHER_BYTES)
    return parse_form(body, boundary, files, fields)


def parse_form(
    body: bytes, boundary: bytes, files: Mapping[str, int], fields: Collection[str]
) -> RequestForm:
    """Parse a whole body. Raises InvalidRequest."""
    form = RequestForm({}, {})
    other_bytes = 0
    for part in _parts(body, boundary):
        if part.is_left_empty:
            continue
        if not (part.name in files or part.is_file):
            other_bytes += len(part.data)
            if len(part.data) > MOST_TEXT_BYTES or other_bytes > MOST_OTHER_BYTES:
                raise InvalidRequest(
                    f"Invalid value for '{part.name}': a text of a form has at most {MOST_TEXT_BYTES} bytes.",
                    param=part.name,
                )
            add_text(form, part, fields)
        else:
            _add_file(form, part, files, fields)
    return form


def add_text(form: RequestForm, part: FormPart, fields: Collection[str]) -> None:
    base, bracket, inner = part.name.partition("[")
    if base not in fields or (bracket and not inner.endswith("]")):
        return
    try:
        text = part.data.decode()
    except UnicodeDecodeError:
        raise InvalidRequest(
            f"Invalid value for '{part.name}': it must be a text in UTF-8.", param=part.name
        ) from None
    form.fields.setdefault(base if inner == "]" else part.name, []).append(text)


def _add_file(form: RequestForm, part: FormPart, files: Mapping[str, int], fields: Collection[str]) -> None:
    name = part.name
    if name not in files:
        if name in fields:
            message = f"Invalid value for '{name}': it must be a text, not a file."
        else:
            message = f"Unknown file: '{name}'. Files of this form: {', '.join(files) or 'none'}."
        raise InvalidRequest(message, param=name)
    if not part.is_file and len(part.data) <= _MOST_NAME_BYTES:
        raise InvalidRequest(
            f"Invalid value for '{name}': it must be a file, not a text; for curl, -F {name}=@me.wav.",
            param=name,
        )
    if name in form.files:
        raise InvalidRequest(f"Invalid value for '{name}': this file came twice. Send one.", param=name)
    if len(part.data) > files[name]:
        raise InvalidRequest(
            f"Invalid value for '{name}': the file is larger than {files[name]} bytes.",
            param=name,
            code="file_too_large",
        )
    called = (part.file_name or b"").decode("utf-8", "replace")
    form.files[name] = SentFile(name, part.media_type, part.data, called)


def boundary_of(content_type: bytes) -> bytes:
    kind, _, _ = content_type.partition(b";")
    if kind.strip().lower() != b"multipart/form-data":
        raise UnsupportedMediaType("Send a form, with content-type: multipart/form-data.")
    boundary = _parameters(content_type[len(kind) :]).get(b"boundary", b"")
    if not _BOUNDARY.fullmatch(boundary):
        raise broken_form("the header 'Content-Type' has no boundary of 1 to 70 characters")
    return boundary


def _parts(body: bytes, boundary: bytes) -> Iterator[FormPart]:
    """Yield the parts of a body that is whole. Each search goes on where the last one ended."""
    delimiter = b"\r\n--" + boundary
    at = 2 if body.startswith(b"\r\n") else 0
    if not body.startswith(delimiter[2:], at):
        raise broken_form("the body does not begin with its boundary")
    at += len(delimiter) - 2
    for count in range(MOST_PARTS + 1):
        if body.startswith(b"--", at):
            if body[at + 2 :].strip(b"\r\n"):
                raise broken_form("bytes follow its end")
            return
        at = _end_of_line(body, at)
        if count == MOST_PARTS:
            break
        blank = body.find(b"\r\n\r\n", at - 2, at + MOST_HEAD_BYTES)
        if blank < 0:
            raise broken_form(f"a part has no head, or one of more than {MOST_HEAD_BYTES} bytes")
        end = body.find(delimiter, blank + 2)
        if end < 0:
            raise broken_form("it is not whole: its closing boundary is missing")
        yield part_of(body[at:blank], body[min(blank + 4, end) : end])
        at = end + len(delimiter)
    raise broken_form(f"it has more than {MOST_PARTS} parts")


def _end_of_line(body: bytes, at: int) -> int:
    line = body.find(b"\r\n", at, at + 128)
    if line < 0 or body[at:line].strip(b" \t"):
        raise broken_form("something else follows a boundary, or it is not whole")
    return line + 2


def part_of(head: bytes, data: bytes) -> FormPart:
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
    return FormPart(_name(given.get(b"name", b"")), file_name, media_type.decode("latin-1"), data)


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
