"""A watch on the event loop: it notices when one step blocked the loop.

A timer of the loop, the beat, is due each 25 ms. Its delay counts only as far as the loop's thread has used
CPU time: on a busy machine the thread waits, and our code is not to blame. While the beat is late, a watcher
thread notes which code runs in the loop's thread. If the watcher is late as well, and the process has used
CPU time, a third thread has kept the interpreter's lock: that counts, too. Threads that release the lock
delay neither.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from types import FrameType
from typing import NamedTuple

import structlog

from proxy.telemetry.metrics import Metrics

REPORTED_S = 0.01
LOGGED_S = 0.1

_BEAT_S = 0.025
_LOOK_S = 0.05
_MOST_NAMES = 8
_WAITING_MODULES = ("threading", "queue", "selectors", "concurrent.futures.thread")

_log = structlog.get_logger()


class LoopHold(NamedTuple):
    """A time for which the loop was held: by CPU time, and by the clock.

    The CPU time is that of the loop's thread, or of the process while another thread kept the interpreter's
    lock. Both are lower bounds, since a hold may have begun before the timer was due. `step` has the names of
    the functions that ran, the innermost first. It is empty if the watcher looked too late.
    """

    held_s: float
    late_s: float
    step: str
    is_by_another: bool = False
    """Another thread held it: less sure on a busy machine, as all that the process did meanwhile counts."""


class LoopWatch:
    """A watch on the loop of this thread. `on_hold` gets each hold of REPORTED_S or longer."""

    def __init__(self, on_hold: Callable[[LoopHold], None]) -> None:
        self._on_hold = on_hold
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._run_watcher, name="loop-watch", daemon=True)
        # The due time of the beat during which the watcher saw a hold, and the code that ran then. One tuple,
        # because another thread reads both.
        self._seen_due_and_step = (0.0, "")
        # When the watcher's next look is due; when its last look was, and how late.
        self._look_due_s = time.monotonic() + _LOOK_S
        self._look_time_and_delay = (0.0, 0.0)
        self._begin_beat()
        self._watcher.start()

    def close(self) -> None:
        self._ended.set()
        self._timer.cancel()
        self._watcher.join()

    def _begin_beat(self) -> None:
        self._thread_cpu_s = time.thread_time()
        self._process_cpu_s = time.process_time()
        self._beat_due_s = time.monotonic() + _BEAT_S
        self._timer = self._loop.call_later(_BEAT_S, self._beat)

    def _beat(self) -> None:
        late_s = time.monotonic() - self._beat_due_s
        if late_s >= REPORTED_S:
            self._report_hold(late_s)
        self._begin_beat()

    def _report_hold(self, late_s: float) -> None:
        held_s = min(late_s, time.thread_time() - self._thread_cpu_s)
        by_others_s = min(late_s, self._watcher_late_s(), time.process_time() - self._process_cpu_s)
        due, step = self._seen_due_and_step
        if by_others_s > held_s and by_others_s >= REPORTED_S:
            self._on_hold(LoopHold(by_others_s, late_s, self._other_threads_functions(), is_by_another=True))
        elif held_s >= REPORTED_S:
            self._on_hold(LoopHold(held_s, late_s, step if due == self._beat_due_s else ""))

    def _watcher_late_s(self) -> float:
        """Return how late the watcher was, or is, since the last beat."""
        looked_s, late_s = self._look_time_and_delay
        still_s = time.monotonic() - self._look_due_s
        return max(late_s, still_s) if looked_s > self._beat_due_s - _BEAT_S else still_s

    def _other_threads_functions(self) -> str:
        """Return the functions of other threads that do not wait, one of which has just released the lock."""
        own_threads = (self._loop_thread, self._watcher.ident)
        frames = sys._current_frames()  # noqa: SLF001 - as below
        working_frames = (frame for thread, frame in frames.items() if thread not in own_threads)
        found = (
            _function_names(frame)
            for frame in working_frames
            if frame.f_globals.get("__name__") not in _WAITING_MODULES
        )
        return " | ".join(filter(None, found))

    def _run_watcher(self) -> None:
        while not self._ended.wait(_LOOK_S):
            now = time.monotonic()
            self._look_time_and_delay = now, now - self._look_due_s
            self._look_due_s = now + _LOOK_S
            due = self._beat_due_s
            if self._seen_due_and_step[0] != due and now - due >= _LOOK_S:
                # Python has no public name for the only way to see another thread's frame.
                frames = sys._current_frames()  # noqa: SLF001
                self._seen_due_and_step = due, _function_names(frames.get(self._loop_thread))


def _function_names(frame: FrameType | None) -> str:
    """Return the names of the innermost functions, without Python's own. They tell nothing of users."""
    names: list[str] = []
    while frame is not None and len(names) < _MOST_NAMES:
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] not in sys.stdlib_module_names:
            names.append(f"{module}.{frame.f_code.co_qualname}")
        frame = frame.f_back
    return " < ".join(names)


@asynccontextmanager
async def watch_loop(on_hold: Callable[[LoopHold], None]) -> AsyncIterator[None]:
    """Watch the running loop."""
    with closing(LoopWatch(on_hold)):
        yield


def hold_notes(metrics: Metrics) -> Callable[[LoopHold], None]:
    """Return a function that counts each hold, and logs a long one."""

    def note(hold: LoopHold) -> None:
        metrics.loop_held.observe(hold.held_s)
        if hold.held_s >= LOGGED_S:
            held_ms, late_ms = round(hold.held_s * 1000), round(hold.late_s * 1000)
            thread = "another" if hold.is_by_another else "loop"
            _log.warning("loop.held", held_ms=held_ms, late_ms=late_ms, thread=thread, step=hold.step)

    return note
