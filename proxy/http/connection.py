"""The connection of a request: read the body up to a limit, send the answer, notice that the client left.

The server itself never cancels a request. `stop_when_client_leaves` waits for the disconnect, and then
cancels the block, unless the answer is recorded for the client's next try.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

from starlette.types import Message, Receive, Scope, Send

from proxy.errors import ClientLeft, RequestTooLarge
from proxy.kept import AnswerRecording

Settle = Callable[[], Awaitable[None]]


async def nothing_to_settle() -> None:
    """Settle an answer that costs nothing."""


class Connection:
    """The way in and out of one request.

    `was_cancelled` is true if the block was cancelled because the client left.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.was_cancelled = False
        self._has_client_left = False
        self._is_complete = False
        self._scope = scope
        self._receive = receive
        self._send = send
        self._block_timeout: asyncio.Timeout | None = None
        self._head: Message | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'left' if self._has_client_left else 'open'}>"

    def record_with(self, recording: AnswerRecording) -> RecordedConnection:
        """Return a connection to use in place of this one. It records what it sends."""
        return RecordedConnection(self._scope, self._receive, self._send, recording)

    def header(self, name: bytes) -> str:
        return next(iter(self.headers(name)), "")

    def headers(self, name: bytes) -> list[str]:
        return [value.decode("latin-1") for key, value in self._scope["headers"] if key == name]

    async def body(self, limit: int) -> bytes:
        """Read the whole body. Raises RequestTooLarge as soon as the body is surely longer than `limit`."""
        declared = self.header(b"content-length")
        if declared.isdecimal() and int(declared) > limit:
            raise _too_large(limit)
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientLeft
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit:
                raise _too_large(limit)
            more = message.get("more_body", False)
        return b"".join(parts)

    @asynccontextmanager
    async def stop_when_client_leaves(self) -> AsyncIterator[None]:
        """Cancel the block when the client leaves, and raise ClientLeft at its end. Begin after the body."""
        try:
            async with asyncio.timeout(None) as self._block_timeout:
                watching = asyncio.create_task(self._watch())
                try:
                    yield
                finally:
                    watching.cancel()
        except TimeoutError:
            if not self.was_cancelled:
                raise
        if self._has_client_left:
            raise ClientLeft

    async def set_head(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """Keep the headers for the first bytes: until those go out, a failure can have its own status."""
        raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers]
        self._head = {"type": "http.response.start", "status": status, "headers": raw}

    async def send(self, data: bytes) -> None:
        """Send bytes. If the client is slow, wait until the server takes them."""
        await self._send_message({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes, settle: Settle = nothing_to_settle) -> None:
        """Settle, and then send the last bytes: they go out only when the settlement is on disk."""
        await settle()
        self._is_complete = True
        await self._send_message({"type": "http.response.body", "body": data, "more_body": False})

    async def _send_message(self, message: Message) -> None:
        if self._has_client_left:
            return
        if self._head is not None:
            head, self._head = self._head, None
            await self._send(head)
        await self._send(message)

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if self._is_complete:
            return  # the server says "disconnect" after a whole answer too
        self._has_client_left = True
        self._on_client_left()

    def _on_client_left(self) -> None:
        self._cancel_block()

    def _cancel_block(self) -> None:
        assert self._block_timeout is not None
        self.was_cancelled = True
        self._block_timeout.reschedule(asyncio.get_running_loop().time())


class RecordedConnection(Connection):
    """A connection that records what it sends.

    If the client leaves, the block goes on to its end, and the next try gets the answer. If the answer cannot
    be kept, the block is cancelled as usual.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, recording: AnswerRecording) -> None:
        super().__init__(scope, receive, send)
        self._recording = recording

    async def set_head(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        headers_list = list(headers)
        await super().set_head(status, headers_list)
        self._recording.begin(headers_list)

    async def send(self, data: bytes) -> None:
        await super().send(data)
        self._recording.add(data)
        # The client waits for the disk: a kept answer is a promise.
        await self._recording.keep_up()
        self._cancel_unless_kept()

    async def end(self, data: bytes, settle: Settle = nothing_to_settle) -> None:
        """Write the whole answer to disk before its settlement: what is paid for can be sent again."""
        self._recording.add(data)
        await self._recording.complete()

        async def settle_and_keep() -> None:
            await settle()
            await self._recording.close(keep=True)

        await super().end(data, settle_and_keep)

    def _on_client_left(self) -> None:
        self._cancel_unless_kept()

    def _cancel_unless_kept(self) -> None:
        if self._has_client_left and self._recording.is_given_up:
            self._cancel_block()


def _too_large(limit: int) -> RequestTooLarge:
    return RequestTooLarge(f"The request body is larger than {limit} bytes, the most this endpoint takes.")
