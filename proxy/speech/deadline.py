"""The end of a block before its own end: at a moment, or when somebody says so."""

from __future__ import annotations

import asyncio
import math
from types import TracebackType


class Deadline:
    """A deadline for blocks of one task after the other, as `asyncio.timeout_at` is for one block.

        with deadline.at(moment):
            await …

    The block raises TimeoutError when the moment has passed, or after `expire`. A timer that fires too early
    sets itself again, so that a deadline that moves on with each chunk costs nothing. Close it after the last
    block. Without a moment there is no timer. If the block's own task calls `expire`, it has to wait for
    something within the block.
    """

    __slots__ = ("_cancels", "_has_expired", "_loop", "_moment", "_task", "_timer", "_timer_at")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._moment = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._task: asyncio.Task[object] | None = None
        self._cancels = 0
        self._has_expired = False

    def __repr__(self) -> str:
        return f"<Deadline in {self._moment - self._loop.time():.3f} s>"

    def at(self, moment: float) -> Deadline:
        """Set the moment, in the loop's time, for the next block."""
        self._moment = moment
        if self._timer is not None and self._timer_at > moment:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._set_timer()
        return self

    def within(self, seconds: float) -> Deadline:
        return self.at(self._loop.time() + seconds)

    def expire(self) -> None:
        """End the block now, if there is one."""
        if self._task is not None and not self._has_expired:
            self._has_expired = True
            self._task.cancel()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def __enter__(self) -> None:
        # With the loop, since it is asked three times for each answer.
        task = asyncio.current_task(self._loop)
        assert task is not None
        self._task, self._cancels = task, task.cancelling()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if not self._has_expired:
            return
        self._has_expired = False
        assert task is not None
        # If somebody else cancelled the task as well, the task was cancelled, and not late.
        if task.uncancel() <= self._cancels and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _set_timer(self) -> None:
        self._timer_at = self._moment
        self._timer = self._loop.call_at(self._moment, self._end)

    def _end(self) -> None:
        self._timer = None
        if self._task is None:
            return  # the next block sets a timer of its own
        if self._loop.time() < self._moment:
            self._set_timer()
            return
        self.expire()
