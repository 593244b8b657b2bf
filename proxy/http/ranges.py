"""Files as answers: the whole, or the single range of bytes that a request names."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from proxy.errors import RangeNotSatisfiable
from proxy.file_store.sealed_blobs import StoredFile
from proxy.http.connection import Connection
from proxy.http.endpoint import Header

RANGE = Header("Range", "A single range of bytes, such as `bytes=0-65535`.", "^bytes=.*$")
_RANGE_PATTERN = re.compile(r"bytes=(\d{0,19})-(\d{0,19})", re.ASCII)


def requested_range(range_header: str | None, size: int) -> range | None:
    """Return the requested range of bytes. Return None for the whole file: without a header, and for one that
    is no single range. Raises RangeNotSatisfiable."""
    match = _RANGE_PATTERN.fullmatch(range_header.strip()) if range_header else None
    if match is None or not (match[1] or match[2]):
        return None
    if match[1]:
        start, end = int(match[1]), min(size, int(match[2]) + 1) if match[2] else size
        if match[2] and int(match[2]) < start:
            return None
    else:
        start, end = max(0, size - int(match[2])), size
    if start >= end:
        raise RangeNotSatisfiable(
            f"Invalid header 'Range': the file has {size} bytes.",
            param="Range",
            headers={"content-range": f"bytes */{size}"},
        )
    return range(start, end)


def file_reply(file: StoredFile, name: str, media_type: str, range_header: str | None) -> Response:
    """Answer with the whole file under this name, or with the range. Raises RangeNotSatisfiable."""
    requested = requested_range(range_header, file.size)
    headers = {"accept-ranges": "bytes"}
    if requested is not None:
        headers["content-range"] = f"bytes {requested.start}-{requested.stop - 1}/{file.size}"
    byte_range = requested or range(file.size)
    headers["content-length"] = str(byte_range.stop - byte_range.start)
    return StreamedFile(file.parts(byte_range), name, media_type, headers, 200 if requested is None else 206)


class StreamedFile(Response):
    """A file, or a part of it. A failure in its middle breaks the connection."""

    def __init__(
        self,
        parts: AsyncGenerator[bytes, None],
        name: str,
        media_type: str,
        headers: Mapping[str, str] = {},
        status: int = 200,
    ) -> None:
        file_headers = {
            "content-type": media_type,
            "content-disposition": f'attachment; filename="{name}"',
        }
        super().__init__(status_code=status, headers={**file_headers, **headers})
        if "content-length" not in headers:
            del self.headers["content-length"]
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = Connection(scope, receive, send)
        with connection.stop_when_client_leaves():
            connection.set_head(self.status_code, self.raw_headers)
            async with aclosing(self._parts) as parts:
                if scope["method"] != "HEAD":
                    async for data in parts:
                        await connection.send(data)
            await connection.end(b"")
