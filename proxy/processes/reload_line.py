"""A worker's way to a reload: it asks its supervisor over the pipe, and waits for the result."""

from __future__ import annotations

import asyncio
import itertools

from proxy.errors import UpstreamFailed
from speech_engine.host.pipe import ParentPipe, ReloadQuestion, ReloadResult

_ANSWER_S = 20.0
"""The supervisor reads the file, and asks a worker for up to 5 s which plans are in use."""


class ReloadLine:
    """The questions under way. `on_result` is called with what comes over the pipe."""

    def __init__(self, pipe: ParentPipe) -> None:
        self._pipe = pipe
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[ReloadResult]] = {}

    def __repr__(self) -> str:
        return f"<ReloadLine, {len(self._waiting)} wait>"

    async def reload(self) -> ReloadResult:
        """Return what came of a reload. Raises UpstreamFailed if the supervisor does not answer in time."""
        number = next(self._numbers)
        waiting: asyncio.Future[ReloadResult] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        try:
            self._pipe.send(ReloadQuestion(number))
            async with asyncio.timeout(_ANSWER_S):
                return await waiting
        except TimeoutError:
            raise UpstreamFailed("The server has not read its configuration yet; see its log.") from None
        finally:
            del self._waiting[number]

    def on_result(self, result: ReloadResult) -> None:
        waiting = self._waiting.get(result.question)
        if waiting is not None and not waiting.done():
            waiting.set_result(result)
