"""Bodies of multipart/form-data. Each piece of a file goes to a sink as it arrives, and each odd case is
refused with a reason.

Parsers of frameworks write large files to the disk, where a recording must never be in plain.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import aclosing
from typing import NamedTuple, Protocol

import msgspec
from msgspec.structs import replace
from starlette.requests import Request

from proxy.errors import InvalidRequest, UnsupportedMediaType
from proxy.http.body import connection_of
from proxy.http.connection import Connection
from proxy.speech.json_size import MOST_STRUCTURE, json_size

RECORDING_TOO_LARGE = "a recording has at most 10 MiB: send it as mp3, opus or flac"
MOST_FILE_BYTES = 10 * 1024 * 1024
MOST_PARTS = 40
MOST_HEAD_BYTES = 4096
MOST_TEXT_BYTES = 64 * 1024
MOST_ALL_TEXT_BYTES = 512 * 1024
"""The limit of all texts together. A body may be larger than its files by this, with heads and boundaries."""
_MOST_FILE_NAME_BYTES = 255
"""A text in a file's field counts as the file's content. But a text of at most this length is taken for a
file name, and refused."""
_MOST_BOUNDARY_END_BYTES = 128
_FEED_BYTES, _YIELD_EVERY_BYTES = 64 * 1024, 512 * 1024

_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
# A parameter of a header: its value is a token, or a quoted text in which a backslash quotes the next byte.
_PARAMETER = re.compile(rb';[ \t]*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))[ \t]*')
_QUOTED = re.compile(rb"\\(.)")
_NO_FIRST_BOUNDARY = "the body does not begin with its boundary"
_PLAIN_ENCODINGS = (b"", b"binary", b"8bit", b"7bit")


class FormFile(msgspec.Struct, frozen=True):
    """A file of a form, and the field that it came in. `client_name` is the client's name for it, which must
    not get into paths and logs."""

    field: str
    media_type: str
    data: bytes
    client_name: str = ""

    def __repr__(self) -> str:
        return f"<FormFile {self.field}, {len(self.data)} bytes>"


class RequestForm(msgspec.Struct, frozen=True):
    """A form. A field that came more than once, or as `tags[]`, has all its values in order."""

    fields: dict[str, list[str]]
    files: dict[str, FormFile]

    def __repr__(self) -> str:
        return f"<RequestForm {sorted(self.fields)}, {list(self.files.values())!r}>"


class FormPart(NamedTuple):
    """The head of a part. `file_name` is None if the part is a text."""

    name: str
    file_name: bytes | None
    media_type: str


class PieceSink(Protocol):
    """Takes the pieces of one file in their order. A file of more than `most_bytes` is refused."""

    @property
    def most_bytes(self) -> int: ...
    def write(self, piece: bytes, /) -> object: ...


class _MemorySink:
    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.pieces: list[bytes] = []

    def write(self, piece: bytes) -> None:
        self.pieces.append(piece)


async def read_form(
    request: Request | Connection, *, files: Mapping[str, int], fields: Collection[str]
) -> RequestForm:
    """Read a body with these files and texts. `files` maps each name to its largest size.

    As in a JSON body, a text under any other name is ignored. `labels[x]` belongs to `labels`, and keeps its
    name. Raises UnsupportedMediaType and the errors of `Connection.body`. Raises InvalidRequest, with a
    `param` unless the form itself is broken.
    """
    connection, limit = connection_of(request), sum(files.values()) + MOST_ALL_TEXT_BYTES
    boundary = read_boundary(connection.header(b"content-type").encode("latin-1"))
    return await parse_form(await connection.body(limit), boundary, files, fields)


async def stream_form(
    request: Request | Connection,
    sinks: Mapping[str, PieceSink],
    fields: Collection[str],
    within_s: float,
    reserve: Callable[[int], Awaitable[None]],
) -> RequestForm:
    """Read a form within `within_s` seconds, and give its files to their sinks.

    The returned form has these files with empty `data`. `reserve` gets the size of each piece before the
    piece is stored. Its time does not count as the client's. Raises what `read_form` and `reserve` raise.
    """
    connection = connection_of(request)
    boundary = read_boundary(connection.header(b"content-type").encode("latin-1"))
    reader = FormReader(boundary, sinks, fields)
    most_bytes = sum(sink.most_bytes for sink in sinks.values()) + MOST_ALL_TEXT_BYTES
    async with aclosing(connection.body_parts(most_bytes, within_s)) as pieces:
        async for piece in pieces:
            await reserve(len(piece))
            reader.feed(piece)
    return reader.end()


async def parse_form(
    body: bytes, boundary: bytes, files: Mapping[str, int], fields: Collection[str]
) -> RequestForm:
    """Parse a whole body, and let other tasks run in between. Raises InvalidRequest."""
    sinks = {name: _MemorySink(most_bytes) for name, most_bytes in files.items()}
    reader = FormReader(boundary, sinks, fields)
    for offset in range(0, len(body), _FEED_BYTES):  # the reader copies what it is fed
        if offset and offset % _YIELD_EVERY_BYTES == 0:
            await asyncio.sleep(0)
        reader.feed(memoryview(body)[offset : offset + _FEED_BYTES])
    form, body = reader.end(), b""  # its files are in the sinks, so nothing needs the body
    for name, file in form.files.items():
        form.files[name] = replace(file, data=b"".join(sinks[name].pieces))
    return form


class FormReader:
    """Parses a form as it comes. A step (`_read_…`) sets the next one, and returns False to wait for bytes.
    `feed` and `end` raise InvalidRequest."""

    def __init__(self, boundary: bytes, sinks: Mapping[str, PieceSink], fields: Collection[str]) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._sinks = sinks
        self._fields = fields
        self._form = RequestForm({}, {})
        self._buffer = bytearray()
        self._read_step: Callable[[], bool] = self._read_first_boundary
        self._part_count = 0
        self._text_bytes = 0
        self._part: FormPart | None = None
        self._part_bytes = 0
        self._text = bytearray()

    def feed(self, data: bytes | memoryview) -> None:
        self._buffer += data
        while self._read_step():
            pass

    def end(self) -> RequestForm:
        if self._read_step != self._read_end:
            has_begun = self._read_step != self._read_first_boundary
            missing_end = "it is not whole: its closing boundary is missing"
            raise broken_form(missing_end if has_begun else _NO_FIRST_BOUNDARY)
        return self._form

    def _read_first_boundary(self) -> bool:
        first = self._delimiter[2:]
        start = 2 if self._buffer.startswith(b"\r\n") else 0
        if len(self._buffer) < start + len(first):
            return False
        if not self._buffer.startswith(first, start):
            raise broken_form(_NO_FIRST_BOUNDARY)
        del self._buffer[: start + len(first)]
        self._read_step = self._read_boundary_end
        return True

    def _read_boundary_end(self) -> bool:
        """Read the bytes after a boundary: "--" ends the form, and a line end begins a part."""
        if len(self._buffer) < 2:
            return False
        if self._buffer.startswith(b"--"):
            del self._buffer[:2]
            self._read_step = self._read_end
            return True
        line = self._buffer.find(b"\r\n", 0, _MOST_BOUNDARY_END_BYTES)
        if line < 0 and len(self._buffer) < _MOST_BOUNDARY_END_BYTES:
            return False
        if line < 0 or self._buffer[:line].strip(b" \t"):
            raise broken_form("something else follows a boundary, or it is not whole")
        self._part_count += 1
        if self._part_count > MOST_PARTS:
            raise broken_form(f"it has more than {MOST_PARTS} parts")
        # The line's end stays in the buffer: with an empty head, it is the first half of the blank line.
        del self._buffer[:line]
        self._read_step = self._read_head
        return True

    def _read_head(self) -> bool:
        # The buffer begins with the end of the boundary's line: 2 bytes.
        blank = self._buffer.find(b"\r\n\r\n", 0, MOST_HEAD_BYTES + 2)
        if blank < 0:
            if len(self._buffer) >= MOST_HEAD_BYTES + 2:
                raise broken_form(f"a part has no head, or one of more than {MOST_HEAD_BYTES} bytes")
            return False
        self._part = parse_part_head(bytes(self._buffer[2:blank]))
        self._part_bytes = 0
        del self._buffer[: blank + 4]
        self._read_step = self._read_data
        return True

    def _check_part(self, part: FormPart) -> None:
        name = part.name
        if name in self._form.files:
            raise InvalidRequest(f"Invalid value for '{name}': this file came twice. Send one.", param=name)
        if part.file_name is None or name in self._sinks:
            return
        message = f"Unknown file: '{name}'. Files of this form: {', '.join(self._sinks) or 'none'}."
        if name in self._fields:
            message = f"Invalid value for '{name}': it must be a text, not a file."
        raise InvalidRequest(message, param=name)

    def _read_data(self) -> bool:
        assert self._part is not None
        end = self._buffer.find(self._delimiter)
        # The last bytes may be the beginning of a boundary.
        count = end if end >= 0 else len(self._buffer) - len(self._delimiter) + 1
        if count > 0:
            self._store_piece(self._part, bytes(memoryview(self._buffer)[:count]))
            del self._buffer[:count]
        if end < 0:
            return False
        del self._buffer[: len(self._delimiter)]
        self._finish_part(self._part)
        self._read_step = self._read_boundary_end
        return True

    def _store_piece(self, part: FormPart, piece: bytes) -> None:
        if not self._part_bytes:
            self._check_part(part)
        self._part_bytes += len(piece)
        sink = self._sinks.get(part.name)
        if sink is None:
            self._text_bytes += len(piece)
            self._check_text_size(part.name)
            self._text += piece
            return
        if self._part_bytes > sink.most_bytes:
            raise InvalidRequest(
                f"Invalid value for '{part.name}': the file is larger than {sink.most_bytes} bytes.",
                param=part.name,
                code="file_too_large",
            )
        sink.write(piece)

    def _check_text_size(self, name: str) -> None:
        if self._part_bytes > MOST_TEXT_BYTES:
            limit = f"a text of a form has at most {MOST_TEXT_BYTES} bytes"
        elif self._text_bytes > MOST_ALL_TEXT_BYTES:
            limit = f"all texts of a form together have at most {MOST_ALL_TEXT_BYTES} bytes"
        else:
            return
        raise InvalidRequest(f"Invalid value for '{name}': {limit}.", param=name)

    def _finish_part(self, part: FormPart) -> None:
        name = part.name
        if not self._part_bytes:
            if part.file_name == b"":
                return  # a browser sends this for a file that was not chosen
            self._check_part(part)
        if name not in self._sinks:
            self._add_text(name)
            return
        if part.file_name is None and self._part_bytes <= _MOST_FILE_NAME_BYTES:
            raise InvalidRequest(
                f"Invalid value for '{name}': it must be a file, not a text; for curl, -F {name}=@me.wav.",
                param=name,
            )
        client_name = (part.file_name or b"").decode("utf-8", "replace")
        self._form.files[name] = FormFile(name, part.media_type, b"", client_name)

    def _read_end(self) -> bool:
        if self._buffer.strip(b"\r\n"):
            raise broken_form("bytes follow its end")
        self._buffer.clear()
        return False

    def _add_text(self, name: str) -> None:
        raw = bytes(self._text)
        self._text.clear()
        base, bracket, inner = name.partition("[")
        if base not in self._fields or (bracket and not inner.endswith("]")):
            return
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            message = f"Invalid value for '{name}': it must be a text in UTF-8."
            raise InvalidRequest(message, param=name) from None
        self._form.fields.setdefault(base if inner == "]" else name, []).append(text)


def read_boundary(content_type: bytes) -> bytes:
    kind, _, _ = content_type.partition(b";")
    if kind.strip().lower() != b"multipart/form-data":
        raise UnsupportedMediaType("Send a form, with content-type: multipart/form-data.")
    boundary = _read_parameters(content_type[len(kind) :]).get(b"boundary", b"")
    if not _BOUNDARY.fullmatch(boundary):
        raise broken_form("the header 'Content-Type' has no boundary of 1 to 70 characters")
    return boundary


def parse_part_head(head: bytes) -> FormPart:
    headers: dict[bytes, bytes] = {}
    for line in head.split(b"\r\n") if head else ():
        name, colon, value = line.partition(b":")
        if not colon or name.strip().lower() in headers:
            raise broken_form("a part has a line in its head that is no header, or the same header twice")
        headers[name.strip().lower()] = value.strip()
    kind, _, _ = headers.get(b"content-disposition", b"").partition(b";")
    if kind.strip().lower() != b"form-data":
        raise broken_form("a part has no header 'Content-Disposition: form-data'")
    parameters = _read_parameters(headers[b"content-disposition"][len(kind) :])
    if headers.get(b"content-transfer-encoding", b"").lower() not in _PLAIN_ENCODINGS:
        raise broken_form("a part is encoded; send its bytes as they are")
    media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    # Some clients send `filename*`, which RFC 7578 forbids. It is taken undecoded.
    file_name = parameters.get(b"filename", parameters.get(b"filename*"))
    part_name = parameters.get(b"name", b"").decode("utf-8", "replace")
    if not part_name or len(part_name) > 100 or not part_name.isprintable():
        raise broken_form("a part has no name, or one that is not 1 to 100 printable characters")
    return FormPart(part_name, file_name, media_type.decode("latin-1"))


def _read_parameters(text: bytes) -> dict[bytes, bytes]:
    parameters: dict[bytes, bytes] = {}
    offset = 0
    while offset < len(text):
        found = _PARAMETER.match(text, offset)
        if found is None or found[1].lower() in parameters:
            if not text[offset:].strip(b"; \t"):
                break
            raise broken_form("the parameters of a header cannot be read")
        quoted = found[2]
        parameters[found[1].lower()] = found[3] if quoted is None else _QUOTED.sub(rb"\1", quoted)
        offset = found.end()
    return parameters


def broken_form(fault: str) -> InvalidRequest:
    return InvalidRequest(f"We could not read the form in your request: {fault}.", code="invalid_form")


def form_values(
    form: RequestForm, *, lists: Collection[str], aliases: Mapping[str, str] = {}
) -> dict[str, object]:
    """Return the fields of a form as JSON would have them. Raises InvalidRequest. An empty text is left out.

    A field in `lists` comes as `tags[]` once for each entry, or once as a JSON list. Labels come as
    `labels[accent]`, or as one field with JSON. `aliases` maps other names to the names of fields.
    """
    values: dict[str, object] = {}
    labels: dict[str, str] = {}
    for name, texts in form.fields.items():
        if name in lists:
            # A tag may be any text, so only a complete JSON list is read as a list.
            value = json_or_text(texts[0]) if len(texts) == 1 else None
            values[name] = value if isinstance(value, list) else [*filter(None, texts)]
        elif len(texts) > 1:
            raise InvalidRequest(f"Invalid value for '{name}': it must come once.", param=name)
        elif name.startswith("labels["):
            labels[name.removeprefix("labels[").removesuffix("]")] = texts[0]
        elif name == "labels" and texts[0]:
            values[name] = json_or_text(texts[0])
        elif texts[0]:
            values[aliases.get(name, name)] = texts[0]
    return values | ({"labels": labels} if labels else {})


def json_or_text(text: str) -> object:
    """Return a field as a JSON value. A text that is no JSON, or too large, stays a text."""
    try:
        structure, _ = json_size(text.encode())
        if structure > MOST_STRUCTURE:
            return text
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return text
