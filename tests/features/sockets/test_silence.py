"""A client that opens the native socket and says nothing."""

import asyncio
import json
from typing import Any

from proxy.features.sockets.session import NativeSession
from tests.speech_engine.host.simulated_time import simulated


class QuietSocket:
    """A socket whose client sends these messages, each after so many seconds."""

    def __init__(self, *sent: tuple[float, str]) -> None:
        self.got: list[dict[str, Any]] = []
        self.closed: tuple[int, str] | None = None
        self.is_gone = False
        self._sent = list(sent)

    async def accept(self) -> None:
        pass

    async def receive(self) -> str:
        if not self._sent:
            await asyncio.Event().wait()
        wait_s, message = self._sent.pop(0)
        await asyncio.sleep(wait_s)
        return message

    async def send(self, data: str) -> None:
        self.got.append(json.loads(data))

    async def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)

    def speaking(self) -> asyncio.Timeout: ...
