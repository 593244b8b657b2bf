"""One life of the process of a mark, and what its streams and questions ask it at the same time."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from proxy.helpers.helper import HelperDied, Life
from speech_engine.host.pipe_messages import MarkAnswer, MarkedSound, MarkQuestion, MarkSound, OpenMarkStream


class MarkProcess:
    """A life whose answers go to those who asked. Each stream and each question has a number."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.heard = 0
        self._asked: dict[int, asyncio.Future[MarkedSound | MarkAnswer]] = {}

    def __repr__(self) -> str:
        return f"<MarkProcess {self.life!r}, {len(self._asked)} asked>"

    async def ask(
        self, number: int, message: OpenMarkStream | MarkSound | MarkQuestion, within_s: float
    ) -> MarkedSound | MarkAnswer:
        """Return the answer. Raise HelperDied and TimeoutError."""
        if self.life.is_over:
            raise HelperDied
        answer: asyncio.Future[MarkedSound | MarkAnswer] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        try:
            self.life.child.send(message)
            async with asyncio.timeout(within_s):
                return await answer
        finally:
            del self._asked[number]

    async def read(self) -> None:
        """Hand the answers out until there are no more: the process has ended then."""
        try:
            async with aclosing(self.life.child.messages()) as messages:
                async for message in messages:
                    self.heard += 1
                    if isinstance(message, MarkedSound | MarkAnswer):
                        waiting = self._asked.get(message.number)
                        if waiting is not None and not waiting.done():
                            waiting.set_result(message)
        finally:
            for waiting in self._asked.values():
                if not waiting.done():
                    waiting.set_exception(HelperDied())
