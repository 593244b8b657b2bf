"""Work that others ask of the model thread between two steps, such as a voice to make: one at a time.

Nobody can hear anything meanwhile. So a call waits while somebody would run dry, but not for ever.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple

from speech_engine.errors import EngineFailed

LONGEST_WAIT_S = 1.0
"""A call begins at the latest when steps have had as long as the call before it took, and this at most."""


class _Call(NamedTuple):
    work: Callable[[], Any]
    result: Future[Any]
    is_counted: bool


class ModelCalls:
    """The calls that wait, and how long the last one took. Its owner holds a lock around all but `run`."""

    def __init__(self) -> None:
        self._waiting: deque[_Call] = deque()
        self._took_s = 0.0
        self._ended_at = float("-inf")

    def __repr__(self) -> str:
        return f"<ModelCalls: {len(self)} waiting>"

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, work: Callable[[], Any], *, is_counted: bool) -> Future[Any]:
        result: Future[Any] = Future()
        self._waiting.append(_Call(work, result, is_counted))
        return result

    def next_due(self, slack_s: float, now: float) -> _Call | None:
        """Take out the call that begins now. The first to run dry has `slack_s` seconds to hear."""
        while self._waiting:
            if slack_s <= self._took_s and now < self._ended_at + min(self._took_s, LONGEST_WAIT_S):
                return None
            call = self._waiting.popleft()
            if call.result.set_running_or_notify_cancel():
                return call
        return None

    def run(self, call: _Call, clock: Callable[[], float]) -> float:
        """Run a call, and return how long it took as far as it counts."""
        began = clock()
        try:
            result = call.work()
        except BaseException as error:  # noqa: BLE001 - the seam around a plugin: raised again in the caller
            call.result.set_exception(ordinary(error))
        else:
            call.result.set_result(result)
        self._ended_at = clock()
        self._took_s = self._ended_at - began if call.is_counted else 0.0
        return self._took_s

    def refuse_all(self, reason: Exception) -> None:
        while self._waiting:
            call = self._waiting.popleft()
            if call.result.set_running_or_notify_cancel():
                call.result.set_exception(reason)


def ordinary(error: BaseException) -> Exception:
    """Return an error that an event loop can raise: libraries raise their own kinds of panic and exit."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    return EngineFailed(f"The engine broke: {type(error).__name__}.")
