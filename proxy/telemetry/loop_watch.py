"""A watch on the event loop: it notices when one thing held the loop, so that all others had to wait.

A timer is due again and again. Its delay counts only as far as the loop's thread has worked meanwhile: on a
busy machine the thread waits, too, and no code of ours held it. While the timer is late, another thread looks
which code runs. If that thread is late as well, and the process has worked, then a third one has kept the
interpreter's lock: that counts, too. Threads that work and let others in delay neither of the two.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import re
import sys
import sysconfig
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import structlog

from proxy.telemetry.metrics import Metrics

NOTED_S = 0.01
LOGGED_S = 0.1

_BEAT_S = 0.025
_LOOK_S = 0.05
_MOST_NAMES = 8
_WAITING = ("threading", "queue", "selectors", "concurrent.futures.thread")
_THREAD = re.compile(r"^(?:Current thread|Thread) 0x([0-9a-f]+) .*$", re.MULTILINE)
_CALL = re.compile(r'^  File "(.*)\.py", line \d+ in (.*)$', re.MULTILINE)

_log = structlog.get_logger()


class LoopHold(NamedTuple):
    """A time for which the loop was held: by CPU time, and by the clock.

    The CPU time is that of the loop's thread, or of the process while another thread kept the interpreter's
    lock. Both are what is certain: a hold may have begun before the timer was due. `step` has the names of
    the functions that ran, the innermost first. It is empty if the look came too late.
    """

    held_s: float
    late_s: float
    step: str
    is_elsewhere: bool = False
    """Another thread held it: less sure on a busy machine, as all that the process did meanwhile counts."""


class LoopWatch:
    """A watch on the loop of this thread. `note` gets each hold of NOTED_S or longer."""

    def __init__(self, note: Callable[[LoopHold], None]) -> None:
        self._note = note
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._ended = threading.Event()
        self._looking = threading.Thread(target=self._look, name="loop-watch", daemon=True)
        # When a hold was looked at, and what ran then. It belongs to the beat that was due at this time.
        self._seen = (0.0, "")
        # When the other thread should look next, and when it last did so, how late.
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
        kept_s = min(late_s, self._others_late_s(), time.process_time() - self._all_worked_s)
        due, step = self._seen
        if kept_s > held_s and kept_s >= NOTED_S:
            self._note(LoopHold(kept_s, late_s, self._names_of_others(), is_elsewhere=True))
        elif held_s >= NOTED_S:
            self._note(LoopHold(held_s, late_s, step if due == self._due else ""))

    def _others_late_s(self) -> float:
        """Return how late the other thread was, or is, since the last beat."""
        looked, late_s = self._looked
        still_s = time.monotonic() - self._look_due
        return max(late_s, still_s) if looked > self._due - _BEAT_S else still_s

    def _names_of_others(self) -> str:
        """Return what the other threads do that do not wait: who kept the lock has just given it away."""
        quiet = (self._loop_thread, self._looking.ident)
        working = (calls for thread, calls in _running() if thread not in quiet)
        found = (_names(calls) for calls in working if calls and calls[0].module not in _WAITING)
        return " | ".join(filter(None, found))

    def _look(self) -> None:
        while not self._ended.wait(_LOOK_S):
            now = time.monotonic()
            self._looked = now, now - self._look_due
            self._look_due = now + _LOOK_S
            due = self._due
            if self._seen[0] != due and now - due >= _LOOK_S:
                self._seen = due, _names(dict(_running()).get(self._loop_thread, []))


class _Call(NamedTuple):
    module: str
    function: str


def _running() -> Iterator[tuple[int, list[_Call]]]:
    """Yield each thread with its calls, the innermost first.

    To walk through another thread's frames in Python is unsafe: that thread goes on meanwhile, and a process
    has crashed there. faulthandler reads all of them in one step.
    """
    try:
        descriptor = os.memfd_create("threads")
    except OSError:  # too many files are open: what ran then is not known
        return
    with open(descriptor, "w+b") as file:
        faulthandler.dump_traceback(file)
        file.seek(0)
        text = file.read().decode("ascii", "replace")
    _, *parts = _THREAD.split(text)
    for thread, calls in zip(parts[::2], parts[1::2], strict=True):
        yield int(thread, 16), [_Call(_module(path), name) for path, name in _CALL.findall(calls)]


def _module(path: str) -> str:
    """Return the module of a file, whose path comes without its ending."""
    roots = (root for root in _ROOTS if path.startswith(root))
    return path.removeprefix(max(roots, key=len, default="")).strip("/").replace("/", ".")


_ROOTS = (str(Path(__file__).parents[2]), *filter(None, sys.path), sysconfig.get_path("stdlib"))


def _names(calls: list[_Call]) -> str:
    """Return the names of the innermost functions, without Python's own. They tell nothing of users."""
    own = [call for call in calls if call.module.partition(".")[0] not in sys.stdlib_module_names]
    return " < ".join(f"{call.module}.{call.function}" for call in own[:_MOST_NAMES])


@asynccontextmanager
async def watch_loop(note: Callable[[LoopHold], None]) -> AsyncIterator[None]:
    """Watch the running loop."""
    watch = LoopWatch(note)
    try:
        yield
    finally:
        watch.close()


def hold_notes(metrics: Metrics) -> Callable[[LoopHold], None]:
    """Return what counts each hold, and logs one that others may have felt."""

    def note(hold: LoopHold) -> None:
        metrics.loop_held(hold.held_s)
        if hold.held_s >= LOGGED_S:
            held_ms, late_ms = round(hold.held_s * 1000), round(hold.late_s * 1000)
            thread = "another" if hold.is_elsewhere else "loop"
            _log.warning("loop.held", held_ms=held_ms, late_ms=late_ms, thread=thread, step=hold.step)

    return note
