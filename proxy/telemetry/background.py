"""Background tasks repeat one function, their turn. A turn that fails is logged, counted and repeated."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable

import structlog

from proxy.telemetry.metrics import Metrics

_SHORTEST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_LOG_EVERY_S = 60.0

RepeatedTurn = Callable[[], Awaitable[object]]

_log = structlog.get_logger()


class OutsideFailure(Exception):
    """A fault outside of this process, such as of a database. Its message quotes no user, so the log has it
    in place of a traceback."""


class RepeatingTask:
    """A task that repeats its turn, with a pause after each, until `aclose`. Create it in a running loop.
    See `repeat`."""

    def __init__(
        self, name: str, turn: RepeatedTurn, pause_s: float, metrics: Metrics, *, tidies: bool = False
    ) -> None:
        self._task = asyncio.create_task(repeat(name, turn, pause_s, metrics, tidies=tidies), name=name)

    async def aclose(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


async def repeat(
    name: str, turn: RepeatedTurn, pause_s: float, metrics: Metrics, *, tidies: bool = False
) -> None:
    """Repeat the turn without end. If a turn fails, the next one may succeed.

    After a failure, a task that only `tidies` waits for 1 s, and twice as long after each further one, up to
    30 s. Any other task keeps its pause, of half a second at least.
    """
    log, failures_in_a_row = _FailureLog(name), 0
    while True:
        wait_s = pause_s
        try:
            await turn()
        except Exception as error:  # noqa: BLE001 - the seam at the top of a background task: logged, counted
            metrics.background_failures.labels(name).inc()
            log.note_failure(error)
            wait_s = (
                min(2.0 ** min(failures_in_a_row, 10), _LONGEST_PAUSE_S)
                if tidies
                else max(pause_s, _SHORTEST_PAUSE_S)
            )
            failures_in_a_row += 1
        else:
            log.note_success()
            failures_in_a_row = 0
        await asyncio.sleep(wait_s)


class _FailureLog:
    """Logs the first failure of each class, then one a minute, and one line when the task works again. So a
    database that is away for long, or often, fills no log."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._logged_s_by_kind: dict[str, float] = {}
        self._failures = 0  # since the last line
        self._is_failing = False

    def note_failure(self, error: Exception) -> None:
        now, kind = asyncio.get_running_loop().time(), type(error).__name__
        self._failures += 1
        if now - self._logged_s_by_kind.get(kind, -math.inf) < _LOG_EVERY_S:
            return
        task, failures = self._name, self._failures
        if isinstance(error, OutsideFailure):
            _log.warning("background.turn.failed", task=task, failures=failures, reason=str(error))
        else:
            shown = without_values(error)
            _log.error("background.turn.failed", task=task, failures=failures, exc_info=shown)
        self._logged_s_by_kind[kind], self._failures, self._is_failing = now, 0, True

    def note_success(self) -> None:
        if self._is_failing:
            _log.info("background.turn.recovered", task=self._name, failures=self._failures)
            self._failures, self._is_failing = 0, False


def without_values(error: BaseException) -> BaseException:
    """Return the error with its traceback but without its message, which may quote a user."""
    nameless: BaseException = type(type(error).__name__, (Exception,), {})()
    return nameless.with_traceback(error.__traceback__)
