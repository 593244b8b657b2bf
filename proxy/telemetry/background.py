"""Background tasks: a turn that fails is logged, counted and repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from proxy.telemetry.metrics import Metrics

_log = structlog.get_logger()


class RepeatingTask:
    """A task that repeats its turn, with a pause after each. Create it in a running loop."""

    def __init__(
        self, name: str, turn: Callable[[], Awaitable[None]], pause_s: float, metrics: Metrics
    ) -> None:
        self._task = asyncio.create_task(repeat(name, turn, pause_s, metrics), name=name)

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


async def repeat(name: str, turn: Callable[[], Awaitable[None]], pause_s: float, metrics: Metrics) -> None:
    """Repeat the turn without end. If a turn fails, the next one may succeed."""
    while True:
        try:
            await turn()
        except Exception as error:  # noqa: BLE001 - the seam at the top of a background task: logged, counted
            _log.error("background.turn.failed", task=name, exc_info=without_values(error))
            metrics.background_failures.labels(name).inc()
        await asyncio.sleep(pause_s)


def without_values(error: BaseException) -> BaseException:
    """Return the error with its traceback but without its message, which may quote a user."""
    nameless: BaseException = type(type(error).__name__, (Exception,), {})()
    return nameless.with_traceback(error.__traceback__)
