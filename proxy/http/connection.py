"""The connection of a request: it reads the body up to a limit, sends the answer, sees the client leave.

The server cancels nobody by itself: `watched` listens for the disconnect and cancels the block, unless the
answer is recorded for the client's next try.
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
    """`was_cut` says that the block was cancelled because its client left, and not by the server."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.was_cut = False
        self._has_left = False
        self._is_complete = False
        self._scope = scope
        self._receive = receive
        self._send = send
        self._block: asyncio.Timeout | None = None
        self._head: Message | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'left' if self._has_left else 'open'}>"

    def record_with(self, recording: AnswerRecording) -> RecordedConnection:
        """Return the connection to use in the place of this one. It records what it sends."""
        return RecordedConnection(self._scope, self._receive, self._send, recording)

    def header(self, name: bytes) -> str:
        return next(iter(self.headers(name)), "")

    def headers(self, name: bytes) -> list[str]:
        return [value.decode("latin-1") for key, value in self._scope["headers"] if key == name]

    async def body(self, limit: int) -> bytes:
        """Read the whole body. Raises RequestTooLarge as soon as it is known to be longer than `limit`."""
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
    async def watched(self) -> AsyncIterator[None]:
        """Cancel the block when the client leaves, and raise ClientLeft at its end. Begin after the body."""
        try:
            async with asyncio.timeout(None) as self._block:
                watching = asyncio.create_task(self._watch())
                try:
                    yield
                finally:
                    watching.cancel()
        except TimeoutError:
            if not self.was_cut:
                raise
        if self._has_left:
            raise ClientLeft

    async def start(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """Keep the headers for the first bytes: until those go out, a failure can have its own status."""
        raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers]
        self._head = {"type": "http.response.start", "status": status, "headers": raw}

    async def send(self, data: bytes) -> None:
        """Send bytes. With a slow client this waits until the server takes them."""
        await self._tell({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes, settle: Settle = nothing_to_settle) -> None:
        """Settle, and then send the last bytes: they go out only when the settlement is on disk."""
        await settle()
        self._is_complete = True
        await self._tell({"type": "http.response.body", "body": data, "more_body": False})

    async def _tell(self, message: Message) -> None:
        if self._has_left:
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
        self._has_left = True
        self._left()

    def _left(self) -> None:
        self._cut()

    def _cut(self) -> None:
        assert self._block is not None
        self.was_cut = True
        self._block.reschedule(asyncio.get_running_loop().time())


class RecordedConnection(Connection):
    """A connection that records what it sends.

    If the client leaves, the block goes on to its end, and the next try gets the answer. If the answer cannot
    be kept, the block is cancelled as usual.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, recording: AnswerRecording) -> None:
        super().__init__(scope, receive, send)
        self._recording = recording

    async def start(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        listed = list(headers)
        await super().start(status, listed)
        self._recording.begin(listed)

    async def send(self, data: bytes) -> None:
        await super().send(data)
        self._recording.add(data)
        # The client waits for the disk: a kept answer is a promise.
        await self._recording.keep_up()
        self._leave_unless_kept()

    async def end(self, data: bytes, settle: Settle = nothing_to_settle) -> None:
        """The whole answer is on disk before its settlement, so that it can be had once it is paid for."""
        self._recording.add(data)
        await self._recording.complete()

        async def settle_and_keep() -> None:
            await settle()
            await self._recording.close(keep=True)

        await super().end(data, settle_and_keep)

    def _left(self) -> None:
        self._leave_unless_kept()

    def _leave_unless_kept(self) -> None:
        if self._has_left and self._recording.is_given_up:
            self._cut()


def _too_large(limit: int) -> RequestTooLarge:
    return RequestTooLarge(f"The request body is larger than {limit} bytes, the most this endpoint takes.")
