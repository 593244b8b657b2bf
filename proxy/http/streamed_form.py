"""Bodies of multipart/form-data with large files: each piece of a file goes on as it comes.

The rules are those of `proxy/http/form.py`, which reads small forms. Nothing here keeps a file.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import aclosing
from typing import Protocol

from starlette.requests import Request

from proxy.errors import InvalidRequest
from proxy.http.body import open_body
from proxy.http.connection import Connection
from proxy.http.form import (
    MOST_HEAD_BYTES,
    MOST_OTHER_BYTES,
    MOST_PARTS,
    MOST_TEXT_BYTES,
    FormPart,
    RequestForm,
    SentFile,
    add_text,
    boundary_of,
    broken_form,
    part_of,
)

_MOST_LINE = 128


class PieceSink(Protocol):
    """What takes the pieces of one file."""

    @property
    def most_bytes(self) -> int: ...

    def write(self, piece: bytes, /) -> object: ...


async def stream_form(
    request: Request | Connection,
    sinks: Mapping[str, PieceSink],
    fields: Collection[str],
    within_s: float,
) -> RequestForm:
    """Read a form within so many seconds, and give its files to their sinks. In the form they are empty.

    Whoever calls it holds a place, as it may read for long. Raises what `read_form` raises.
    """
    connection = open_body(request)
    boundary = boundary_of(connection.header(b"content-type").encode("latin-1"))
    reader = FormReader(boundary, sinks, fields)
    most_bytes = sum(sink.most_bytes for sink in sinks.values()) + MOST_OTHER_BYTES
    async with aclosing(connection.body_parts(most_bytes, within_s)) as parts:
        async for part in parts:
            reader.feed(part)
    return reader.end()


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
        if self._step != self._rest:
            raise broken_form("it is not whole: its closing boundary is missing")
        return self._form

    def _begin(self) -> bool:
        first = self._delimiter[2:]
        start = 2 if self._buffer.startswith(b"\r\n") else 0
        if len(self._buffer) < start + len(first):
            return False
        if not self._buffer.startswith(first, start):
            raise broken_form("the body does not begin with its boundary")
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
        self._part = part_of(bytes(self._buffer[2:blank]), b"")
        self._taken = 0
        del self._buffer[: blank + 4]
        self._step = self._data
        return True

    def _check(self, part: FormPart) -> None:
        if part.name in self._sinks:
            if part.name in self._form.files:
                raise InvalidRequest(
                    f"Invalid value for '{part.name}': this file came twice. Send one.", param=part.name
                )
        elif part.is_file:
            known = ", ".join(self._sinks)
            message = f"Unknown file: '{part.name}'. Files of this form: {known}."
            if part.name in self._fields:
                message = f"Invalid value for '{part.name}': it must be a text, not a file."
            raise InvalidRequest(message, param=part.name)

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
        if not self._taken and part.file_name == b"":
            return  # a browser sends this for a file that was not chosen
        if not self._taken:
            self._check(part)
        if part.name not in self._sinks:
            add_text(self._form, part._replace(data=bytes(self._text)), self._fields)
            self._text.clear()
        else:
            called = (part.file_name or b"").decode("utf-8", "replace")
            self._form.files[part.name] = SentFile(part.name, part.media_type, b"", called)

    def _rest(self) -> bool:
        if self._buffer.strip(b"\r\n"):
            raise broken_form("bytes follow its end")
        self._buffer.clear()
        return False
