"""The answer to a link: its bytes piece by piece, as long as somebody reads them and they may leave."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from proxy.http.connection import Connection


class LinkReply(Response):
    """Until the first piece is there, a failure has its own status. Later it breaks the answer off.

    `HEAD` is told whether the link leads somewhere, and has none of the pieces made.
    """

    media_type = "application/octet-stream"

    def __init__(self, opened: AbstractAsyncContextManager[AsyncIterator[bytes]]) -> None:
        super().__init__(headers={"cache-control": "no-store"})
        del self.headers["content-length"]
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = Connection(scope, receive, send)
        with connection.stop_when_client_leaves():
            async with self._opened as pieces:
                connection.set_head(200, self.raw_headers)
                if scope["method"] != "HEAD":
                    async for piece in pieces:
                        await connection.send(piece)
                await connection.end(b"")
