"""One request's line to its client: the body in, capped; the answer out; and word of its leaving.

The server cancels nobody by itself: `watched` listens for the disconnect and cancels the block.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from starlette.types import Receive, Scope, Send

from proxy.errors import ClientLeft, RequestTooLarge


class Connection:
    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.has_left = False
        self._is_complete = False
        self._scope = scope
        self._receive = receive
        self._send = send

    def __repr__(self) -> str:
        return f"<Connection {'left' if self.has_left else 'open'}>"

    def header(self, name: bytes) -> str:
        return next((value.decode("latin-1") for key, value in self._scope["headers"] if key == name), "")

    async def body(self, limit: int) -> bytes:
        """The whole body; RequestTooLarge as soon as it is clear that it is longer than `limit`."""
        declared = self.header(b"content-length")
        if declared.isdecimal() and int(declared) > limit:
            raise _too_large(limit)
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.has_left = True
                raise ClientLeft
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit:
                raise _too_large(limit)
            more = message.get("more_body", False)
        return b"".join(parts)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Cancels the block when the client leaves, and then raises ClientLeft. Begin after the body."""
        try:
            async with asyncio.timeout(None) as scope:
                watching = asyncio.create_task(self._watch(scope))
                try:
                    yield
                finally:
                    watching.cancel()
        except TimeoutError:
            if not self.has_left:
                raise
            raise ClientLeft from None

    async def start(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def send(self, data: bytes, more: bool = True) -> None:
        """Returns when the server has taken the bytes, which waits for a slow client."""
        self._is_complete = not more
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    async def _watch(self, scope: asyncio.Timeout) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if self._is_complete:
            return  # the server says "disconnect" after a whole answer too
        self.has_left = True
        scope.reschedule(asyncio.get_running_loop().time())


def _too_large(limit: int) -> RequestTooLarge:
    return RequestTooLarge(f"The request body is larger than {limit} bytes, the most this endpoint takes.")
