"""A wrapper around every provider's fake, which records the requests and does the scripted faults.

It is an ASGI application around the fake's own application, which behaves as its provider does.
Tests in the same process use the object. Other tests POST /_fake/faults (a list of `ScriptedFault`)
and /_fake/reset, and GET /_fake/requests. The inner application does not see a `/_at/NAME` before a
path, so that several tests can share a fake and each have their own faults.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, MutableMapping
from typing import Any

import msgspec

from fakes.faults import (
    HANG_UP,
    KEY,
    App,
    Broken,
    CutOff,
    FaultOrder,
    FaultyAnswer,
    Receive,
    Scope,
    ScriptedFault,
    Send,
    for_ever,
)


class RequestRecord(msgspec.Struct, kw_only=True):
    """A request. If its body is JSON, `json` is the value. If the client left early, `left_at` is when."""

    number: int
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    json: Any = None
    fault: str = ""
    status: int | None = None
    sent_bytes: int = 0
    is_over: bool = False
    left_at: float | None = None

    def __repr__(self) -> str:
        return f"<RequestRecord {self.number}: {self.method} {self.path} {self.status}>"


class Report(msgspec.Struct):
    """The answer to GET /_fake/requests. Times are of `time.monotonic()`, the same in all processes."""

    requests: list[RequestRecord]
    open: int


class Provider:
    """The wrapper of a fake. If a fault names no path, it concerns the paths that contain `speech`."""

    def __init__(self, app: App, speech: str) -> None:
        self.seen: list[RequestRecord] = []
        self.faults: list[ScriptedFault] = []
        self._app = app
        self._speech = speech
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Provider {len(self.seen)} requests, {self.open} open, {len(self.faults)} faults>"

    @property
    def open(self) -> int:
        return sum(not each.is_over for each in self.seen)

    def spoken(self) -> list[RequestRecord]:
        """Return the requests for speech, without requests for lists."""
        return [each for each in self.seen if self._speech in each.path]

    def fail(self, name: FaultOrder | Broken, **more: Any) -> None:
        self.faults.append(ScriptedFault(name=name, **more))

    def reset(self) -> None:
        self.seen.clear()
        self.faults.clear()

    async def until(self, is_so: Callable[[], bool], within_s: float = 5.0) -> None:
        """Wait until requests make `is_so` true. If they do not, raise TimeoutError."""
        async with asyncio.timeout(within_s):
            while not is_so():
                self._changed.clear()
                await self._changed.wait()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"].startswith("/_fake/"):
            await _reply(send, *self._control(scope["path"], await _body(receive)))
        else:
            await self._exchange(scope, receive, send)

    def _control(self, path: str, body: bytes) -> tuple[int, bytes]:
        if path == "/_fake/faults":
            try:
                self.faults += msgspec.json.decode(body, type=list[ScriptedFault])
            except msgspec.DecodeError as error:
                message = f'a list of faults is wanted, such as [{{"name": "429"}}]: {error}'
                return 400, msgspec.json.encode({"error": message})
        elif path == "/_fake/reset":
            self.reset()
        elif path == "/_fake/requests":
            return 200, msgspec.json.encode(Report(self.seen, self.open))
        else:
            return 404, b"{}"
        return 200, b"{}"

    async def _exchange(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        record = _noted(len(self.seen) + 1, scope, body)
        fault = self._next(record)
        record.fault = fault.name if fault else ""
        self.seen.append(record)
        self._changed.set()
        hang_up = scope.get("state", {}).get(HANG_UP, _stay)
        answer = FaultyAnswer(fault, _counted(record, send, self._changed), hang_up)
        speaking = asyncio.create_task(self._answered(scope, body, answer))
        leaving = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait((speaking, leaving), return_when=asyncio.FIRST_COMPLETED)
            if answer.is_whole:
                # After a whole answer, the server reports a disconnect, though the client did not leave.
                await speaking
            elif not speaking.done():
                record.left_at = time.monotonic()
        finally:
            speaking.cancel()
            leaving.cancel()
            await asyncio.wait((speaking, leaving))
            record.is_over = True
            self._changed.set()
        if not speaking.cancelled():
            speaking.result()

    async def _answered(self, scope: Scope, body: bytes, answer: FaultyAnswer) -> None:
        fault = answer.fault
        if fault and fault.name == "hang_before":
            await for_ever()
        unread = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> MutableMapping[str, Any]:
            # If the client leaves, the whole task ends, so the application need not check for it.
            return next(unread, None) or await for_ever()

        try:
            await self._app({**scope, "path": _inner(scope["path"]), KEY: fault}, receive, answer.send)
        except CutOff:
            # A return in the middle of an answer makes the server close the client's connection.
            return

    def _next(self, record: RequestRecord) -> ScriptedFault | None:
        for index, fault in enumerate(self.faults):
            if (fault.path or self._speech) in record.path and fault.method in ("", record.method):
                left = msgspec.structs.replace(fault, count=fault.count - 1) if fault.count > 1 else None
                self.faults[index : index + 1] = [left] if left else []
                return fault
        return None


def hum(text: str) -> bytes:
    """Return a tone in place of speech: 24 kHz PCM of 480 Hz, 60 ms a character. A `voice` for a fake."""
    # A period has 50 samples. A triangle is enough, and needs no mathematics module.
    period = [640 * (25 - abs(25 - step)) - 8000 for step in range(50)]
    wave = b"".join(level.to_bytes(2, "little", signed=True) for level in period)
    return wave * (len(text) * 1440 // 50 + 1)


def _inner(path: str) -> str:
    return "/" + path.split("/", 3)[-1] if path.startswith("/_at/") else path


def _noted(number: int, scope: Scope, body: bytes) -> RequestRecord:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    try:
        parsed = msgspec.json.decode(body) if body else None
    except msgspec.DecodeError:
        parsed = None
    return RequestRecord(
        number=number,
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=body,
        json=parsed,
    )


def _counted(record: RequestRecord, send: Send, changed: asyncio.Event) -> Send:
    async def counting(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            record.status = message["status"]
            changed.set()
        await send(message)
        record.sent_bytes += len(message.get("body", b""))

    return counting


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _stay() -> None:
    """A server whose connections cannot be ended."""


async def _reply(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
