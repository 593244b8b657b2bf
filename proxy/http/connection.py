"""The connection of a request: read the body up to a limit, send the answer, notice that the client left.

The server itself never cancels a request. Its protocol tells a `Peer`, and `stop_when_client_leaves` then
cancels the block, unless the answer is recorded for the client's next try.
"""

from __future__ import annotations

import asyncio
import math
from codecs import BOM_UTF8
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol, Self

from starlette.types import Message, Receive, Scope, Send

from proxy.errors import ClientLeft, RateLimited, RequestFailed, RequestTooLarge
from proxy.speech.deadline import StoppableBlock

PEER = "voxgate.peer"
"""The name of the ASGI extension that has the `Peer`. Without it, a client is never seen to leave."""

FIRST_BODY = "voxgate.first_body"
"""A key of the message with the head, for the message with the first bytes: both are one write."""

MOST_BODY_BYTES = 16 * 1024 * 1024
"""The most bytes of one key's unfinished bodies. A body that comes in one piece is not counted."""

LARGE_BODY_S = 30.0
LEAST_BODY_BYTES_PER_S = 64 * 1024
"""A large body has `LARGE_BODY_S` seconds, and one more for each `LEAST_BODY_BYTES_PER_S` bytes that have
come. So a client that sends nothing loses its place."""

Settle = Callable[[], Awaitable[None]]
RawHeader = tuple[bytes, bytes]


class Peer(Protocol):
    """The other end of a connection. `on_gone` is called once, when the connection is lost.

    After that, `sent_share` is the share of the written bytes of the answer that have left this machine.
    Bytes that the client has not read yet count as received. If the share is not known, it is 1.

    One peer serves all requests of a connection, one after the other. The next request may begin before the
    last one has ended, so a request removes only its own `on_gone`.
    """

    is_gone: bool
    is_ending: bool
    """Whether the server is about to end, and finishes its running requests."""
    sent_share: float
    on_gone: Callable[[], None] | None
    takes_first_body: bool
    """Whether the head may come with its `FIRST_BODY`."""
    body_failure: RequestFailed | None
    """Why the rest of the last body will not come, while the client may still read an answer."""
    cut_off: Callable[[], None]
    """Ends the connection now, without what has not left yet."""

    @property
    def is_behind(self) -> bool:
        """Whether written bytes still wait for the kernel, because the client reads slowly."""
        ...

    async def drain(self) -> None:
        """Wait until the kernel has all written bytes, or the peer has gone."""
        ...

    def allow_body(self, within_s: float) -> None:
        """Give a large body this much time from now on."""
        ...

    def follow_closely(self) -> None:
        """From now on, buffer as little as possible in this process and the kernel, so that `is_behind` is
        exact."""
        ...


class RecordedAnswer(Protocol):
    """The copy of an answer for the client's next try. A copy that is given up is not stored."""

    voices: tuple[str, ...]
    """The voices of accounts in the answer, which may be erased. Set before `start_recording`."""
    is_given_up: bool

    def start_recording(self, headers: Iterable[tuple[str, str]]) -> None: ...
    def add(self, data: bytes) -> None: ...
    async def keep_up(self) -> None:
        """Wait until the disk has nearly all of what was added."""

    async def complete(self) -> None:
        """Return when the whole answer is stored, or is given up."""

    async def close(self, *, keep: bool = False) -> None: ...
    def give_up(self) -> None: ...


def nothing_to_do() -> None:
    """Do nothing for a client that is slow, or has left."""


class _SteadyPeer:
    """The peer of a server that tells nothing of its connections. It never leaves and is never slow."""

    is_gone = False
    is_ending = False
    is_behind = False
    sent_share = 1.0
    takes_first_body = False
    on_gone: Callable[[], None] | None = None
    body_failure: RequestFailed | None = None
    cut_off = staticmethod(nothing_to_do)

    async def drain(self) -> None:
        pass

    def allow_body(self, within_s: float) -> None:
        pass

    def follow_closely(self) -> None:
        pass


class BodyQuota:
    """Counts the bytes of unfinished bodies for each key, since slow clients keep them in memory."""

    def __init__(self, most_bytes: float = MOST_BODY_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes: dict[str, int] = {}

    def count_body(self, key: str, size: int) -> None:
        """Count bytes. Raises RateLimited, and counts nothing, if they are too many for the key."""
        total = self._bytes.get(key, 0) + size
        if total > self._most_bytes:
            raise RateLimited(
                f"Too many requests with this key are being sent: more than {MOST_BODY_BYTES} bytes at once.",
                retry_after_s=1.0,
            )
        self._bytes[key] = total

    def uncount_body(self, key: str, size: int) -> None:
        remaining = self._bytes.get(key, 0) - size
        if remaining > 0:
            self._bytes[key] = remaining
        else:
            self._bytes.pop(key, None)


_NO_QUOTA = BodyQuota(math.inf)


async def nothing_to_settle() -> None:
    """Settle an answer that costs nothing."""


class Connection(StoppableBlock):
    """The body and the answer of one request. Call `body` first, and then `set_head`, `send` and `end` in a
    block of `stop_when_client_leaves`.

    `was_cancelled` is true if the block was cancelled because the client left. With a `recording`, the answer
    is stored as well: the block goes on without the client, whose next try gets the answer.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.was_cancelled = False
        self.recording: RecordedAnswer | None = None
        # Called when the client leaves before its answer is complete, and nothing more is sent.
        self.on_client_left: Callable[[], None] = nothing_to_do
        self._has_client_left = False
        self._is_head_sent = False
        self._is_complete = False
        self._scope = scope
        self._receive = receive
        self._send = send
        self._peer: Peer = scope.get("extensions", {}).get(PEER) or _SteadyPeer()
        self._head: Message | None = None
        # The head by names in small letters. If a field comes twice, the first value counts.
        self.fields: dict[bytes, bytes] = dict(reversed(scope["headers"]))

    @property
    def sent_share(self) -> float | None:
        """The share of the written bytes that have left this machine, if the client left. Otherwise None."""
        if not self.was_cancelled:
            return None
        return self._peer.sent_share if self._is_head_sent else 0.0

    @property
    def is_hurried(self) -> bool:
        """Whether to stop waiting for this answer, since the server stops or the client has left."""
        return self._peer.is_ending or self._peer.is_gone

    def header(self, name: bytes) -> str:
        return self.fields.get(name, b"").decode("latin-1")

    def headers(self, name: bytes) -> list[str]:
        if name not in self.fields:
            return []
        return [value.decode("latin-1") for key, value in self._scope["headers"] if key == name]

    async def body(self, limit: int) -> bytes:
        """Read the whole body, without a byte order mark. Raises RequestTooLarge as soon as the body is
        surely longer than `limit`, RateLimited, and the peer's failure for an incomplete body."""
        content_length = self.fields.get(b"content-length", b"")
        if content_length.isdigit() and int(content_length) > limit:
            raise _too_large(limit)
        part, is_last = await self._body_part()
        if len(part) > limit:
            raise _too_large(limit)
        return (part if is_last else await self._whole_body(part, limit)).removeprefix(BOM_UTF8)

    async def body_parts(self, limit: int, within_s: float) -> AsyncGenerator[bytes, None]:
        """Yield a body piece by piece. It must come within `within_s`, and not slower than
        `LEAST_BODY_BYTES_PER_S`. The time that the caller takes for a piece does not count. The bytes are not
        counted with the key's other bodies, because the caller limits how many such bodies are read at once.
        Raises what `body` raises."""
        content_length = self.fields.get(b"content-length", b"")
        if content_length.isdigit() and int(content_length) > limit:
            raise _too_large(limit)
        loop = asyncio.get_running_loop()
        start_s, size, is_last = loop.time(), 0, False
        while not is_last:
            allowed_s = min(within_s, LARGE_BODY_S + size / LEAST_BODY_BYTES_PER_S)
            self._peer.allow_body(max(0.0, start_s + allowed_s - loop.time()))
            part, is_last = await self._body_part()
            size += len(part)
            if size > limit:
                raise _too_large(limit)
            now = loop.time()
            yield part
            start_s += loop.time() - now

    @contextmanager
    def counted_body(self, size: int) -> Iterator[None]:
        """Count `size` bytes with the key's other bodies while the block runs. Raises RateLimited."""
        quota, key = self._quota_and_key()
        quota.count_body(key, size)
        try:
            yield
        finally:
            quota.uncount_body(key, size)

    def _quota_and_key(self) -> tuple[BodyQuota, str]:
        state = self._scope.get("state", {})
        return state.get("bodies", _NO_QUOTA), state["caller"].key if "caller" in state else ""

    async def _whole_body(self, part: bytes, limit: int) -> bytes:
        quota, key = self._quota_and_key()
        parts, size, is_last = [part], len(part), False
        quota.count_body(key, size)
        try:
            while not is_last:
                part, is_last = await self._body_part()
                if size + len(part) > limit:
                    raise _too_large(limit)
                quota.count_body(key, len(part))
                size += len(part)
                parts.append(part)
        finally:
            quota.uncount_body(key, size)
        return b"".join(parts)

    async def _body_part(self) -> tuple[bytes, bool]:
        """Return the next bytes of the body, and whether they are the last."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        has_more = message.get("more_body", False)
        if has_more and self._peer.body_failure is not None:
            raise self._peer.body_failure
        return message.get("body", b""), not has_more

    def stop_when_client_leaves(self) -> Self:
        """Return a context manager for what follows the body. When the client leaves, the block is cancelled,
        and raises ClientLeft at its end."""
        self._has_client_left = self._peer.is_gone
        if self._has_client_left and self._has_no_reader:
            raise ClientLeft
        self._peer.on_gone = self._note_client_left
        state = self._scope.get("state", {})
        if "streams" in state:
            state["streams"][self] = state, self._end_refused
        return self

    def _end_refused(self, _failure: RequestFailed) -> None:
        if self.recording is not None:
            self.recording.give_up()
        self._peer.cut_off()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._scope.get("state", {}).get("streams", {}).pop(self, None)
        if self._peer.on_gone == self._note_client_left:
            self._peer.on_gone = None
        if self._has_expired:
            try:
                super().__exit__(kind, error, trace)
            except TimeoutError as expired:
                error = expired
                if not self.was_cancelled:
                    raise
        self._task = None
        is_our_cancellation = isinstance(error, TimeoutError) and self.was_cancelled
        if self._has_client_left and (error is None or is_our_cancellation):
            raise ClientLeft

    def set_head(self, status: int, headers: Sequence[RawHeader]) -> None:
        """Keep the headers for the first bytes: until those go out, a failure can have its own status."""
        self._head = {"type": "http.response.start", "status": status, "headers": headers}
        if self.recording is not None:
            self.recording.start_recording(
                (name.decode(), value.decode("latin-1")) for name, value in headers
            )

    async def send(self, data: bytes, on_behind: Callable[[], None] = nothing_to_do) -> None:
        """Send bytes, and wait until the kernel has them. If the client is slow, call `on_behind` before."""
        if self._head is not None:
            self._peer.follow_closely()
        if self._peer.is_behind:
            on_behind()
        await self._send_message({"type": "http.response.body", "body": data, "more_body": True})
        if self._peer.is_behind and not self._has_client_left:
            on_behind()
            await self._peer.drain()
        if self.recording is not None:
            self.recording.add(data)
            # The client waits for the disk, since the next try must find the stored answer.
            await self.recording.keep_up()
            self._cancel_unless_done()

    async def end(self, data: bytes, settle: Settle = nothing_to_settle) -> None:
        """Call `settle`, and then send the last bytes: they go out only when the settlement is on disk.

        A recorded answer is whole on disk before its settlement, so that a paid answer can be sent again.
        """
        if self.recording is not None:
            self.recording.add(data)
            await self.recording.complete()
            if self._has_no_reader:
                self._cancel_unless_done()
                # A cancellation arrives at the next wait, which must come before the settlement.
                await asyncio.sleep(0)
        await settle()
        if self.recording is not None:
            await self.recording.close(keep=True)
        self._is_complete = True
        await self._send_message({"type": "http.response.body", "body": data, "more_body": False})

    async def _send_message(self, message: Message) -> None:
        if self._has_client_left:
            return
        if self._head is not None:
            head, self._head = self._head, None
            self._is_head_sent = True
            if self._peer.takes_first_body:
                head[FIRST_BODY], message = message, head
            else:
                await self._send(head)
        await self._send(message)

    def _note_client_left(self) -> None:
        if not self._is_complete:
            self._has_client_left = True
            self.on_client_left()
            self._cancel_unless_done()

    @property
    def _has_no_reader(self) -> bool:
        """Whether the client has left, and its next try will not get the answer either."""
        return self._has_client_left and (self.recording is None or self.recording.is_given_up)

    def _cancel_unless_done(self) -> None:
        if self._has_no_reader:
            self.was_cancelled = True
            self.expire()


def _too_large(limit: int) -> RequestTooLarge:
    return RequestTooLarge(f"The request body is larger than {limit} bytes, the most this endpoint takes.")
