"""What every provider's fake is wrapped in: it writes down what was asked, and misbehaves when it is told to.

An ASGI application around the fake's own, which stays as faithful as its provider. Tests in the same process
use the object; others POST /_fake/faults (a list of `Fault`) and /_fake/reset, and GET /_fake/requests. The
application does not see a `/_at/NAME` before a path: several tests share a fake, each with faults of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, MutableMapping
from typing import Any

import msgspec

from speech_engine.testing.faults import (
    KEY,
    App,
    Broken,
    CutOff,
    FaultyAnswer,
    Receive,
    Scope,
    ScriptedFault,
    Send,
    Told,
    for_ever,
)


class RequestRecord(msgspec.Struct, kw_only=True):
    """One request. `json` is its body where that is JSON; `left_at` is when the client was gone too early."""

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
    """What GET /_fake/requests answers; times are those of `time.monotonic()`, the same in all processes."""

    requests: list[RequestRecord]
    open: int


class Provider:
    """`speech` is a part of the paths that faults concern where they name none."""

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
        """The requests for speech, without those that only look around."""
        return [each for each in self.seen if self._speech in each.path]

    def fail(self, name: Told | Broken, **more: Any) -> None:
        self.faults.append(ScriptedFault(name=name, **more))

    def reset(self) -> None:
        self.seen.clear()
        self.faults.clear()

    async def until(self, is_so: Callable[[], bool], within_s: float = 5.0) -> None:
        """Waits for something that requests bring about. TimeoutError where they do not."""
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
                said = f'a list of faults is wanted, such as [{{"name": "429"}}]: {error}'
                return 400, msgspec.json.encode({"error": said})
        elif path == "/_fake/reset":
            self.reset()
        elif path == "/_fake/requests":
            return 200, msgspec.json.encode(Report(self.seen, self.open))
        else:
            return 404, b"{}"
        return 200, b"{}"

    async def _exchange(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        seen = _noted(len(self.seen) + 1, scope, body)
        fault = self._next(seen.path)
        seen.fault = fault.name if fault else ""
        self.seen.append(seen)
        self._changed.set()
        answer = FaultyAnswer(fault, _counted(seen, send))
        speaking = asyncio.create_task(self._answered(scope, body, answer))
        leaving = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait((speaking, leaving), return_when=asyncio.FIRST_COMPLETED)
            if answer.is_whole:
                # To the application's server, an exchange that is over is one whose client is gone.
                await speaking
            elif not speaking.done():
                seen.left_at = time.monotonic()
        finally:
            speaking.cancel()
            leaving.cancel()
            await asyncio.wait((speaking, leaving))
            seen.is_over = True
            self._changed.set()
        if not speaking.cancelled():
            speaking.result()

    async def _answered(self, scope: Scope, body: bytes, answer: FaultyAnswer) -> None:
        fault = answer.fault
        if fault and fault.name == "hang_before":
            await for_ever()
        unread = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> MutableMapping[str, Any]:
            # A client that leaves ends the whole task; the application need not look for it.
            return next(unread, None) or await for_ever()

        try:
            await self._app({**scope, "path": _inner(scope["path"]), KEY: fault}, receive, answer.send)
        except CutOff:
            # Returning in the middle of an answer makes the server close the connection under the client.
            return

    def _next(self, path: str) -> ScriptedFault | None:
        for index, fault in enumerate(self.faults):
            if (fault.path or self._speech) in path:
                left = msgspec.structs.replace(fault, count=fault.count - 1) if fault.count > 1 else None
                self.faults[index : index + 1] = [left] if left else []
                return fault
        return None


def hum(text: str) -> bytes:
    """Speech of nobody: 24 kHz PCM of 480 Hz, 60 ms a character. A plain `voice` for a fake."""
    # One period of 50 samples, so that the module needs no mathematics beyond a triangle.
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


def _counted(seen: RequestRecord, send: Send) -> Send:
    async def counting(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            seen.status = message["status"]
        await send(message)
        seen.sent_bytes += len(message.get("body", b""))

    return counting


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def _reply(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
