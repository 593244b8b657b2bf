"""The faults that a test can script for a fake provider. A fault has the same name in all fakes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Annotated, Any, Literal

import msgspec

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

FaultOrder = Literal["429", "5xx", "wrong_codec", "error_in_200", "error_midstream"]
"""Faults that each provider words differently. The fake calls `scripted(scope)` and words the answer."""
Broken = Literal["hang_before", "hang_after", "truncated", "garbage", "slow", "lost"]
"""Faults of a network or a process, which harm any answer. This module does them."""

GARBAGE = b"\xff\xfe<html>\x00{]" * 40
KEY = "voxgate.fault"
HANG_UP = "voxgate.hang_up"
"""Where the state of a scope has a function that ends its connection."""


class ScriptedFault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A fault for the next `count` requests whose path contains `path`, with this `method` or any.

    If `path` is empty, the fault is for requests for speech. `after_bytes` of the answer's body go
    out unharmed before the answer hangs, is cut off or names an error. `status` is the status of a
    5xx. `code` is the provider's own name or number of an error. `retry_after` is that header's value.
    """

    name: FaultOrder | Broken
    count: Annotated[int, msgspec.Meta(ge=1)] = 1
    path: str = ""
    method: str = ""
    status: int = 503
    code: str = ""
    retry_after: str | None = None
    after_bytes: Annotated[int, msgspec.Meta(ge=0)] = 0
    piece_bytes: Annotated[int, msgspec.Meta(ge=1)] = 64
    pause_s: Annotated[float, msgspec.Meta(ge=0)] = 0.005


def scripted(scope: Scope) -> ScriptedFault | None:
    """Return the fault that the provider must word itself for this request, if there is one."""
    fault: ScriptedFault | None = scope.get(KEY)
    return fault


class CutOff(Exception):
    """Raised to stop an answer before its end."""


class FaultyAnswer:
    """An answer that a fault harms on its way out, if the fault needs no words of the provider."""

    def __init__(self, fault: ScriptedFault | None, send: Send, hang_up: Callable[[], None]) -> None:
        self.fault = fault
        self._hang_up = hang_up
        self.is_whole = False
        self._send = send
        self._left = fault.after_bytes if fault and fault.name in ("hang_after", "truncated") else None

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if self.fault and self.fault.name == "lost":
            # The request was carried out, but its answer is lost.
            self._hang_up()
            raise CutOff
        if message["type"] == "http.response.start":
            await self._start(message)
            return
        body = message.get("body", b"")
        if self.fault and self.fault.name == "slow":
            await self._drip(body, self.fault)
            body = b""
        if self._left is not None:
            body, self._left = body[: self._left], self._left - len(body)
        is_last = not message.get("more_body", False)
        await self._part(body, more=not is_last or self._left is not None)
        if self._left is not None and (self._left <= 0 or is_last):
            await self._end_early()

    async def _start(self, message: MutableMapping[str, Any]) -> None:
        if self.fault is None or self.fault.name != "garbage":
            await self._send(message)
            return
        headers = [(name, value) for name, value in message["headers"] if name.lower() != b"content-length"]
        await self._send({**message, "headers": headers})
        await self._part(GARBAGE, more=False)
        raise CutOff

    async def _drip(self, body: bytes, fault: ScriptedFault) -> None:
        for start in range(0, len(body), fault.piece_bytes):
            await self._part(body[start : start + fault.piece_bytes], more=True)
            await asyncio.sleep(fault.pause_s)

    async def _part(self, body: bytes, *, more: bool) -> None:
        self.is_whole = not more
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def _end_early(self) -> None:
        if self.fault and self.fault.name == "hang_after":
            await for_ever()
        raise CutOff


async def for_ever() -> Any:
    await asyncio.get_running_loop().create_future()
