"""The seam at the top of a background task: a turn that breaks is logged, counted, and taken anew."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

_log = structlog.get_logger()


class Watch(Protocol):
    """What the operator is told of."""

    def background_failed(self, task: str) -> None: ...


class _Nobody:
    def background_failed(self, task: str) -> None:
        """Nothing to count it for."""


UNWATCHED: Watch = _Nobody()
"""Where nobody reads metrics, as beside a command."""


class RepeatingTask:
    """A task that takes its turn again and again, with a pause after each. Make it in a running loop."""

    def __init__(self, name: str, turn: Callable[[], Awaitable[None]], pause_s: float, watch: Watch) -> None:
        self._name = name
        self._task = asyncio.create_task(repeat(name, turn, pause_s, watch), name=name)

    def __repr__(self) -> str:
        return f"<RepeatingTask {self._name}>"

    async def close(self) -> None:
        """Returns when it has ended, in the middle of a turn too."""
        self._task.cancel()
        await asyncio.wait([self._task])


async def repeat(name: str, turn: Callable[[], Awaitable[None]], pause_s: float, watch: Watch) -> None:
    """For ever: what one turn could not do the next one may."""
    while True:
        try:
            await turn()
        except Exception as error:  # noqa: BLE001 - the seam at the top of a background task: logged, counted
            _log.error("background.turn.failed", task=name, exc_info=without_values(error))
            watch.background_failed(name)
        await asyncio.sleep(pause_s)


def without_values(error: BaseException) -> BaseException:
    """The traceback under the class's name alone: a message may quote what a user sent."""
    nameless: BaseException = type(type(error).__name__, (Exception,), {})()
    return nameless.with_traceback(error.__traceback__)
