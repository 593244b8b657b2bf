"""A watch on the event loop: it notices when one step blocked the loop.

A timer is due again and again. Its delay counts only as far as the loop's thread has used CPU time: on a busy
machine the thread waits, and our code is not to blame. While the timer is late, another thread looks which
code runs. If that thread is late as well, and the process has used CPU time, a third thread has kept the
interpreter's lock: that counts, too. Threads that release the lock delay neither of the two.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import FrameType
from typing import NamedTuple

import structlog

from proxy.telemetry.metrics import Metrics

NOTED_S = 0.01
LOGGED_S = 0.1

_BEAT_S = 0.025
_LOOK_S = 0.05
_MOST_NAMES = 8
_WAITING = ("threading", "queue", "selectors", "concurrent.futures.thread")

_log = structlog.get_logger()


class LoopHold(NamedTuple):
    """A time for which the loop was held: by CPU time, and by the clock.

    The CPU time is that of the loop's thread, or of the process while another thread kept the interpreter's
    lock. Both are lower bounds, since a hold may have begun before the timer was due. `step` has the names of
    the functions that ran, the innermost first. It is empty if the other thread looked too late.
    """

    held_s: float
    late_s: float
    step: str
    is_remote: bool = False
    """Another thread held it: less sure on a busy machine, as all that the process did meanwhile counts."""


class LoopWatch:
    """A watch on the loop of this thread. `note` gets each hold of NOTED_S or longer."""

    def __init__(self, note: Callable[[LoopHold], None]) -> None:
        self._note = note
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._ended = threading.Event()
        self._looking = threading.Thread(target=self._look, name="loop-watch", daemon=True)
        # The beat during which a hold was seen, by its due time, and the code that ran then.
        self._seen = (0.0, "")
        # The time of the other thread's next look; the time of its last look, and how late that was.
        self._look_due = time.monotonic() + _LOOK_S
        self._looked = (0.0, 0.0)
        self._begin_beat()
        self._looking.start()

    def close(self) -> None:
        self._ended.set()
        self._timer.cancel()
        self._looking.join()

    def _begin_beat(self) -> None:
        self._worked_s = time.thread_time()
        self._all_worked_s = time.process_time()
        self._due = time.monotonic() + _BEAT_S
        self._timer = self._loop.call_later(_BEAT_S, self._beat)

    def _beat(self) -> None:
        late_s = time.monotonic() - self._due
        if late_s >= NOTED_S:
            self._judge(late_s)
        self._begin_beat()

    def _judge(self, late_s: float) -> None:
        held_s = min(late_s, time.thread_time() - self._worked_s)
        slept_s = min(late_s, self._others_late_s(), time.process_time() - self._all_worked_s)
        due, step = self._seen
        if slept_s > held_s and slept_s >= NOTED_S:
            self._note(LoopHold(slept_s, late_s, self._names_of_others(), is_remote=True))
        elif held_s >= NOTED_S:
            self._note(LoopHold(held_s, late_s, step if due == self._due else ""))

    def _others_late_s(self) -> float:
        """Return how late the other thread was, or is, since the last beat."""
        looked, late_s = self._looked
        still_s = time.monotonic() - self._look_due
        return max(late_s, still_s) if looked > self._due - _BEAT_S else still_s

    def _names_of_others(self) -> str:
        """Return the functions of other threads that do not wait, one of which has just released the lock."""
        quiet = (self._loop_thread, self._looking.ident)
        frames = sys._current_frames()  # noqa: SLF001 - as below
        working = (frame for thread, frame in frames.items() if thread not in quiet)
        found = (_names(frame) for frame in working if frame.f_globals.get("__name__") not in _WAITING)
        return " | ".join(filter(None, found))

    def _look(self) -> None:
        while not self._ended.wait(_LOOK_S):
            now = time.monotonic()
            self._looked = now, now - self._look_due
            self._look_due = now + _LOOK_S
            due = self._due
            if self._seen[0] != due and now - due >= _LOOK_S:
                # Python has no public name for the only way to see another thread's frame.
                frames = sys._current_frames()  # noqa: SLF001
                self._seen = due, _names(frames.get(self._loop_thread))


def _names(frame: FrameType | None) -> str:
    """Return the names of the innermost functions, without Python's own. They tell nothing of users."""
    names: list[str] = []
    while frame is not None and len(names) < _MOST_NAMES:
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] not in sys.stdlib_module_names:
            names.append(f"{module}.{frame.f_code.co_qualname}")
        frame = frame.f_back
    return " < ".join(names)


@asynccontextmanager
async def watch_loop(note: Callable[[LoopHold], None]) -> AsyncIterator[None]:
    """Watch the running loop."""
    watch = LoopWatch(note)
    try:
        yield
    finally:
        watch.close()


def hold_notes(metrics: Metrics) -> Callable[[LoopHold], None]:
    """Return a function that counts each hold, and logs a long one."""

    def note(hold: LoopHold) -> None:
        metrics.loop_held.observe(hold.held_s)
        if hold.held_s >= LOGGED_S:
            held_ms, late_ms = round(hold.held_s * 1000), round(hold.late_s * 1000)
            thread = "another" if hold.is_remote else "loop"
            _log.warning("loop.held", held_ms=held_ms, late_ms=late_ms, thread=thread, step=hold.step)

    return note
