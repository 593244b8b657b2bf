"""Bodies of multipart/form-data, read in memory. Recordings never touch the disk in plain.

Parsers of frameworks write large files to the disk. This one gives each piece of a file to a sink as it
comes, and each odd case is a refusal that says what is wrong.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import aclosing
from typing import Protocol

import msgspec
from msgspec.structs import replace
from starlette.requests import Request

from proxy.errors import InvalidRequest
from proxy.http.body import open_body
from proxy.http.connection import Connection
from proxy.http.form_parts import FormPart, boundary_of, broken_form, part_of

MOST_FILE_BYTES = 10 * 1024 * 1024
MOST_PARTS = 40
MOST_HEAD_BYTES = 4096
MOST_TEXT_BYTES = 64 * 1024
MOST_OTHER_BYTES = 512 * 1024
"""Of all that is no file: texts, the heads of parts, boundaries."""
_MOST_NAME_BYTES = 255
"""Of a file. A text in the place of a file is taken for one, but what is so short only names it."""
_MOST_LINE = 128


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


class PieceSink(Protocol):
    """What takes the pieces of one file."""

    @property
    def most_bytes(self) -> int: ...

    def write(self, piece: bytes, /) -> object: ...


class _Pieces:
    """A file in memory."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.pieces: list[bytes] = []

    def write(self, piece: bytes) -> None:
        self.pieces.append(piece)


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


async def stream_form(
    request: Request | Connection,
    sinks: Mapping[str, PieceSink],
    fields: Collection[str],
    within_s: float,
    grow: Callable[[int], Awaitable[None]],
) -> RequestForm:
    """Read a form within so many seconds, and give its files to their sinks. In the form they are empty.

    `grow` is told of the bytes of each piece before it is kept: it may wait for room, which is not counted as
    the client's time. Raises what `read_form` and `grow` raise.
    """
    connection = open_body(request)
    boundary = boundary_of(connection.header(b"content-type").encode("latin-1"))
    reader = FormReader(boundary, sinks, fields)
    most_bytes = sum(sink.most_bytes for sink in sinks.values()) + MOST_OTHER_BYTES
    async with aclosing(connection.body_parts(most_bytes, within_s)) as parts:
        async for part in parts:
            await grow(len(part))
            reader.feed(part)
    return reader.end()


def parse_form(
    body: bytes, boundary: bytes, files: Mapping[str, int], fields: Collection[str]
) -> RequestForm:
    """Parse a whole body. Raises InvalidRequest."""
    sinks = {name: _Pieces(most_bytes) for name, most_bytes in files.items()}
    reader = FormReader(boundary, sinks, fields)
    reader.feed(body)
    form = reader.end()
    for name, file in form.files.items():
        form.files[name] = replace(file, data=b"".join(sinks[name].pieces))
    return form


class FormReader:
    """A form as it comes. `feed` and `end` raise InvalidRequest."""

    def __init__(self, boundary: bytes, sinks: Mapping[str, PieceSink], fields: Collection[str]) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._sinks = sinks
        self._fields = fields
        self._form = RequestForm({}, {})
        self._buffer = bytearray()
        self._step: Callable[[], bool] = self._begin
        self._parts = 0
        self._other_bytes = 0
        self._part: FormPart | None = None
        self._taken = 0
        self._text = bytearray()

    def __repr__(self) -> str:
        return f"<FormReader after {self._parts} parts>"

    def feed(self, data: bytes) -> None:
        self._buffer += data
        while self._step():
            pass

    def end(self) -> RequestForm:
        if self._step == self._begin:
            raise _no_beginning()
        if self._step != self._rest:
            raise broken_form("it is not whole: its closing boundary is missing")
        return self._form

    def _begin(self) -> bool:
        first = self._delimiter[2:]
        start = 2 if self._buffer.startswith(b"\r\n") else 0
        if len(self._buffer) < start + len(first):
            return False
        if not self._buffer.startswith(first, start):
            raise _no_beginning()
        del self._buffer[: start + len(first)]
        self._step = self._line
        return True

    def _line(self) -> bool:
        """Read what follows a boundary: the end of the form, or the end of the line."""
        if len(self._buffer) < 2:
            return False
        if self._buffer.startswith(b"--"):
            del self._buffer[:2]
            self._step = self._rest
            return True
        line = self._buffer.find(b"\r\n", 0, _MOST_LINE)
        if line < 0 and len(self._buffer) < _MOST_LINE:
            return False
        if line < 0 or self._buffer[:line].strip(b" \t"):
            raise broken_form("something else follows a boundary, or it is not whole")
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise broken_form(f"it has more than {MOST_PARTS} parts")
        # The end of this line may be the first half of the blank one.
        del self._buffer[:line]
        self._step = self._head
        return True

    def _head(self) -> bool:
        blank = self._buffer.find(b"\r\n\r\n", 0, MOST_HEAD_BYTES + 2)
        if blank < 0:
            if len(self._buffer) >= MOST_HEAD_BYTES + 2:
                raise broken_form(f"a part has no head, or one of more than {MOST_HEAD_BYTES} bytes")
            return False
        self._part = part_of(bytes(self._buffer[2:blank]))
        self._taken = 0
        del self._buffer[: blank + 4]
        self._step = self._data
        return True

    def _check(self, part: FormPart) -> None:
        name = part.name
        if name in self._form.files:
            raise InvalidRequest(f"Invalid value for '{name}': this file came twice. Send one.", param=name)
        if part.file_name is None or name in self._sinks:
            return
        message = f"Unknown file: '{name}'. Files of this form: {', '.join(self._sinks) or 'none'}."
        if name in self._fields:
            message = f"Invalid value for '{name}': it must be a text, not a file."
        raise InvalidRequest(message, param=name)

    def _data(self) -> bool:
        assert self._part is not None
        end = self._buffer.find(self._delimiter)
        # The end of what is here may be the beginning of a boundary.
        count = end if end >= 0 else len(self._buffer) - len(self._delimiter) + 1
        if count > 0:
            self._take(self._part, bytes(memoryview(self._buffer)[:count]))
            del self._buffer[:count]
        if end < 0:
            return False
        del self._buffer[: len(self._delimiter)]
        self._finish(self._part)
        self._step = self._line
        return True

    def _take(self, part: FormPart, piece: bytes) -> None:
        if not self._taken:
            self._check(part)
        self._taken += len(piece)
        sink = self._sinks.get(part.name)
        if sink is None:
            self._other_bytes += len(piece)
            if self._taken > MOST_TEXT_BYTES or self._other_bytes > MOST_OTHER_BYTES:
                raise InvalidRequest(
                    f"Invalid value for '{part.name}': a text of a form has at most {MOST_TEXT_BYTES} bytes.",
                    param=part.name,
                )
            self._text += piece
            return
        if self._taken > sink.most_bytes:
            raise InvalidRequest(
                f"Invalid value for '{part.name}': the file is larger than {sink.most_bytes} bytes.",
                param=part.name,
                code="file_too_large",
            )
        sink.write(piece)

    def _finish(self, part: FormPart) -> None:
        name = part.name
        if not self._taken:
            if part.file_name == b"":
                return  # a browser sends this for a file that was not chosen
            self._check(part)
        if name not in self._sinks:
            self._add_text(name)
            return
        if part.file_name is None and self._taken <= _MOST_NAME_BYTES:
            raise InvalidRequest(
                f"Invalid value for '{name}': it must be a file, not a text; for curl, -F {name}=@me.wav.",
                param=name,
            )
        called = (part.file_name or b"").decode("utf-8", "replace")
        self._form.files[name] = SentFile(name, part.media_type, b"", called)

    def _rest(self) -> bool:
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
            raise InvalidRequest(
                f"Invalid value for '{name}': it must be a text in UTF-8.", param=name
            ) from None
        self._form.fields.setdefault(base if inner == "]" else name, []).append(text)


def _no_beginning() -> InvalidRequest:
    return broken_form("the body does not begin with its boundary")
