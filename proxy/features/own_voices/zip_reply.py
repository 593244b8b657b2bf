"""An export of a voice as an answer."""

from __future__ import annotations

from contextlib import closing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from proxy.features.own_voices.export import ZipStream
from proxy.http.connection import Connection


class ZipReply(Response):
    """A zip file as an answer. A failure in its middle breaks the connection: a part never looks whole."""

    media_type = "application/zip"

    def __init__(self, id_: str, stream: ZipStream) -> None:
        super().__init__(
            headers={"content-disposition": f'attachment; filename="{id_}.zip"', "cache-control": "no-store"}
        )
        del self.headers["content-length"]
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = Connection(scope, receive, send)
        with closing(self._stream), connection.stop_when_client_leaves():
            connection.set_head(self.status_code, self.raw_headers)
            while (data := await self._stream.next_chunk()) is not None:
                await connection.send(data)
            await connection.end(b"")
