"""A timer whose moment can be moved at no cost, a block that can be stopped, and a deadline for blocks."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

_LOOK_S = 1.0
"""The time between two looks whether others wait for the slot of an answer that goes on."""


class MovingTimer:
    """A timer whose moment often moves later. It calls `expire` after the last moment.

    A later moment changes no handle of the loop: the handle fires at the old moment, and is then set again.
    """

    far_s = 3.0
    """No handle is set further ahead: after the 30 s to the first audio come shorter limits, and a nearer
    moment would need a new handle in each answer. One whose moments only move later may wait as long as it
    has to."""
    _moment = math.inf
    _timer: asyncio.TimerHandle | None = None
    _timer_at = math.inf

    def expire_at(self, moment: float) -> Self:
        """Call `expire` at this moment of the loop's clock, and at no earlier one."""
        self._moment = moment
        if self._timer is not None and self._timer_at > moment:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._set_timer()
        return self

    def expire_in(self, seconds: float) -> Self:
        # The loops of asyncio and uvloop count from the zero of time.monotonic. To read it saves a call.
        return self.expire_at(time.monotonic() + seconds)

    def rest(self) -> None:
        """Remove the moment, until the next one is set."""
        self._moment = math.inf

    def expire(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self) -> None:
        self._timer_at = min(self._moment, time.monotonic() + self.far_s)
        self._timer = asyncio.get_running_loop().call_at(self._timer_at, self._fire)

    def _fire(self) -> None:
        self._timer = None
        if self._moment == math.inf:
            return
        if asyncio.get_running_loop().time() < self._moment:
            self._set_timer()
            return
        self.expire()


class StoppableBlock:
    """Successive blocks of one task, each of which raises TimeoutError after `expire`.

    A task that calls `expire` in its own block must await something in that block afterwards. Otherwise the
    cancellation arrives after the block.
    """

    _task: asyncio.Task[object] | None = None
    _cancels_before = 0
    _has_expired = False

    def expire(self) -> None:
        if self._task is not None and not self._has_expired:
            self._has_expired = True
            self._task.cancel()

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._cancels_before = task, task.cancelling()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if not self._has_expired:
            return
        self._has_expired = False
        assert task is not None
        # If the task was also cancelled from outside, it ends as cancelled, not as late.
        if task.uncancel() <= self._cancels_before and kind is asyncio.CancelledError:
            raise TimeoutError from error


class Deadline(StoppableBlock, MovingTimer):
    """A deadline for successive blocks of one task, like `asyncio.timeout_at` for one block.

        with deadline.expire_at(moment):
            await …

    The block raises TimeoutError when the moment has passed, too. Close the deadline after the last block.
    """

    def _fire(self) -> None:
        if self._task is None:
            self._timer = None  # the next block sets a timer of its own
        else:
            super()._fire()


class AudioTimeout(Deadline):
    """A candidate's first audio is due at `ends_at`. One that may `go_on` has `begun_s` from the start of its
    engine, while no other text waits there. A provider that has the request may be silent for `silent_s`; its
    time to the first sound is added to `first_bytes_s`."""

    ends_at = silent_s = math.inf
    dispatched_at = begun_s = _goes_on_until = 0.0
    first_bytes_s: deque[float] | None = None
    has_line: Callable[[], bool]

    def go_on(self, begun_s: float, has_line: Callable[[], bool]) -> Self:
        self.begun_s, self.has_line = begun_s, has_line
        return self

    def expire(self) -> None:
        if time.monotonic() < self._goes_on_until and not self.has_line():
            self.expire_in(_LOOK_S)
        else:
            super().expire()

    def limit_silence(self, is_dispatched: bool) -> float:
        """Note whether the engine has the request now. Return how long it may be silent."""
        if is_dispatched:
            self._goes_on_until = time.monotonic() + self.begun_s
        if self.silent_s < math.inf:
            self.dispatched_at = time.monotonic() if is_dispatched else 0.0
            silent_until = self.dispatched_at + self.silent_s if is_dispatched else self.ends_at
            self.expire_at(min(self.ends_at, silent_until))
        return self.silent_s

    def end_silence(self) -> None:
        """Note that the engine works, or was given up."""
        self._goes_on_until = 0.0
        if self.silent_s < math.inf:
            if self.dispatched_at and self.first_bytes_s is not None:
                self.first_bytes_s.append(time.monotonic() - self.dispatched_at)
            self.silent_s, self.dispatched_at, self._moment = math.inf, 0.0, self.ends_at
