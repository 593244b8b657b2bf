"""A reply with a file that is made while it is sent."""

from __future__ import annotations

from contextlib import closing
from typing import Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from proxy.http.connection import Connection


class FileInChunks(Protocol):
    """A file that is read in chunks. `next_chunk` returns None at its end. Close it."""

    async def next_chunk(self) -> bytes | None: ...

    def close(self) -> None: ...


class StreamReply(Response):
    """A file as a reply. A failure in its middle breaks the connection, so that a client never takes a part
    for the whole file."""

    def __init__(self, name: str, stream: FileInChunks, media_type: str = "application/zip") -> None:
        self.media_type = media_type
        super().__init__(headers={"content-disposition": f'attachment; filename="{name}"'})
        del self.headers["content-length"]
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = Connection(scope, receive, send)
        with closing(self._stream), connection.stop_when_client_leaves():
            connection.set_head(self.status_code, self.raw_headers)
            while (data := await self._stream.next_chunk()) is not None:
                await connection.send(data)
            await connection.end(b"")
