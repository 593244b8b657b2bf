"""One life of the process of a mark, and who uses it."""

from __future__ import annotations

import asyncio

from proxy.engines.plugin_process import PluginProcess
from speech_engine.host.mark_messages import MarkAnswer, MarkedSound, MarkQuestion, MarkSound, OpenMarkStream

_FIRST_USE_S = 10.0


class MarkProcessEnded(Exception):
    """The process is gone, and with it all that it knew."""


class MarkProcess:
    """A process with its users, which are streams and questions. Each has a number."""

    def __init__(self, process: PluginProcess, idle_s: float) -> None:
        self.process = process
        self.users: set[int] = set()
        self.heard = 0
        self._idle_s = idle_s
        self._asked: dict[int, asyncio.Future[MarkedSound | MarkAnswer]] = {}
        self.is_over = False
        # Those who waited for it come in a moment, unless all of them have left.
        self._idle = asyncio.get_running_loop().call_later(max(idle_s, _FIRST_USE_S), self._stop)

    def __repr__(self) -> str:
        return f"<MarkProcess {self.process.child!r}, {len(self.users)} users>"

    async def ask(
        self, number: int, message: OpenMarkStream | MarkSound | MarkQuestion, within_s: float
    ) -> MarkedSound | MarkAnswer:
        """Return the answer. Raise MarkProcessEnded and TimeoutError."""
        if self.is_over:
            raise MarkProcessEnded
        answer: asyncio.Future[MarkedSound | MarkAnswer] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        try:
            self.process.child.send(message)
            async with asyncio.timeout(within_s):
                return await answer
        finally:
            del self._asked[number]

    async def read(self) -> None:
        async for message in self.process.messages:
            self.heard += 1
            if isinstance(message, MarkedSound | MarkAnswer):
                waiting = self._asked.get(message.number)
                if waiting is not None and not waiting.done():
                    waiting.set_result(message)

    def enter(self, number: int) -> None:
        self.users.add(number)
        self._idle.cancel()

    def leave(self, number: int) -> bool:
        """Return whether it was there."""
        if number not in self.users:
            return False
        self.users.discard(number)
        self.stop_after(self._idle_s)
        return True

    def stop_after(self, seconds: float) -> None:
        """End the process when nobody has used it for this time."""
        self._idle_s = seconds
        self._idle.cancel()
        if not self.users and not self.is_over:
            self._idle = asyncio.get_running_loop().call_later(seconds, self._stop)

    def _stop(self) -> None:
        self.is_over = True
        self.process.child.kill()

    def end(self) -> None:
        self.is_over = True
        self._idle.cancel()
        for waiting in self._asked.values():
            if not waiting.done():
                waiting.set_exception(MarkProcessEnded())
