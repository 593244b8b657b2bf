"""Writes the bytes of an answer, and counts them: a client that leaves pays only for the bytes that it got.

The head and the first bytes are one write. uvicorn's own cycle makes two writes, and each wakes the client.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from proxy.errors import InternalError
from proxy.http.connection import FIRST_BODY
from proxy.http.replies import COMMON_HEADERS, failure_reply

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent, HTTPResponseBodyEvent, HTTPResponseStartEvent

_CONTINUE_BYTES = len(b"HTTP/1.1 100 Continue\r\n\r\n")
"""The bytes that uvicorn writes to a client that waits for `100 Continue`, when its body is read."""

_NOT_IN_NAMES = re.compile(rb"[^!#$%&'*+.^_`|~0-9a-z-]")
"""ASGI's names are in small letters, and `content-length` is looked for as such."""
_NOT_IN_VALUES = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class AnswerCycle(RequestResponseCycle):
    """A request and its answer. `answer_bytes` counts what the transport got of the answer, head and framing
    included, and `continue_bytes` what it got of a `100 Continue` before. The head waits for the first bytes
    of the body, but no longer than this turn of the loop.
    """

    answer_bytes = 0
    continue_bytes = 0
    is_receiving = False
    """Whether the application waits for `message_event`. Otherwise it is not set, which saves every request
    some calls."""
    _knows_body_is_whole = False
    """Whether the application knows that the body is whole."""
    _head = b""  # empty once it is written

    async def receive(self) -> ASGIReceiveEvent:
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.continue_bytes = _CONTINUE_BYTES
        has_data = bool(self.body) or not (self.more_body or self._knows_body_is_whole)
        if not has_data or self.waiting_for_100_continue or self.disconnected or self.response_complete:
            message = await self._next_message(has_data=has_data)
        else:
            message = {"type": "http.request", "body": bytes(self.body), "more_body": self.more_body}
            self.body = bytearray()
        if self.flow.read_paused and (has_data or not self.more_body):
            # Reading was paused during a long body. It must go on, to notice a client that leaves.
            self.flow.resume_reading()
        self._knows_body_is_whole = self._knows_body_is_whole or not self.more_body
        return message

    async def _next_message(self, *, has_data: bool) -> ASGIReceiveEvent:
        if has_data:
            self.message_event.set()
        self.is_receiving = True
        try:
            return await super().receive()
        finally:
            self.is_receiving = False

    async def send(self, message: ASGISendEvent) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if message["type"] == "http.response.start" and not self.response_started:
            self._prepare_head(message)
            body: Any = message.get(FIRST_BODY)  # uvicorn's types do not know this key
            if body is None:
                asyncio.get_running_loop().call_soon(self._write_head)
            else:
                self._send_body(body)
        elif message["type"] == "http.response.body" and self.response_started and not self.response_complete:
            self._send_body(message)
        else:
            raise RuntimeError(f"{message['type']!r} is not what comes next.")

    async def send_500_response(self) -> None:
        """Answer for an application that ended without an answer. uvicorn's own answer is plain text."""
        answer: Any = failure_reply(InternalError())  # Starlette and uvicorn name ASGI's types differently
        answer.headers["x-request-id"] = self.scope.get("state", {}).get("request_id", "")
        answer.raw_headers += COMMON_HEADERS
        self.keep_alive = False
        await answer(self.scope, self.receive, self.send)

    def _prepare_head(self, message: HTTPResponseStartEvent) -> None:
        status = message["status"]
        headers = [*self.default_headers, *message.get("headers", ())]
        # One search for all names: one for each name would cost more than the rest of the head.
        names, values = zip(*headers, strict=True) if headers else ((), ())
        if _NOT_IN_NAMES.search(b"".join(names)):
            raise RuntimeError("A header has an invalid name.")
        if _NOT_IN_VALUES.search(b"".join(values)):
            raise RuntimeError("A header has an invalid value.")
        self.response_started = True
        self.waiting_for_100_continue = False
        lines = [STATUS_LINE[status]]
        for name, value in headers:
            lines.append(b"%b: %b\r\n" % (name, value))
        if b"content-length" in names:
            self.expected_content_length = int(values[names.index(b"content-length")])
            self.chunked_encoding = False
        is_closing = b"connection" in names and b"close" in values[names.index(b"connection")].lower()
        if is_closing:
            self.keep_alive = False
        if not self.keep_alive and not is_closing:
            lines.append(b"connection: close\r\n")
        has_body = self.scope["method"] != "HEAD" and status not in (204, 304)
        if self.chunked_encoding is None and has_body:
            self.chunked_encoding = True
            lines.append(b"transfer-encoding: chunked\r\n")
        lines.append(b"\r\n")
        self._head = b"".join(lines)

    def _write_head(self) -> None:
        if self._head and not self.transport.is_closing():
            self._write(b"")

    def _send_body(self, message: HTTPResponseBodyEvent) -> None:
        body, is_last = message.get("body", b""), not message.get("more_body", False)
        if self.scope["method"] == "HEAD":
            self.expected_content_length = 0
            self._write(b"")
        elif self.chunked_encoding:
            end = b"0\r\n\r\n" if is_last else b""
            self._write(b"%x\r\n" % len(body), body, b"\r\n", end) if body else self._write(end)
        else:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0:
                raise RuntimeError("The answer is longer than its content-length.")
            self._write(body)
        if not is_last:
            return
        if self.expected_content_length:
            raise RuntimeError("The answer is shorter than its content-length.")
        self.response_complete = True
        if self.is_receiving:
            self.message_event.set()
        if not self.keep_alive and not self.more_body:
            self.transport.close()
        self.on_response()

    def _write(self, *pieces: bytes) -> None:
        data = b"".join((self._head, *pieces))
        self._head = b""
        if data:
            self.answer_bytes += len(data)
            self.transport.write(data)
