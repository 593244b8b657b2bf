"""A host's signs of life: how much work it does, at each change and while work goes on.

They come from the engine's work, never from the host's event loop: a running loop is no proof about a model
that hangs. Jobs that wait for a slow reader, for their recording or for room are not counted as work. Each
job is named when it begins and when it ends, so that after a host's death it is known which jobs may have
killed it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from speech_engine.host.cluster_messages import HostLoad
from speech_engine.host.pipe_messages import Tick

TELL_EVERY_S = 1.0
LOAD_EVERY_S = 0.1
"""The time between two reports of the load. Gateways choose hosts by it: with older reports, all would choose
the same host."""

_CALL: ContextVar[str] = ContextVar("call", default="")
"""The job of the running task."""


class Pulse:
    """A thread-safe pulse: an engine's own threads call `tick`. `tell` gets each sign.

    `figures` gives those of the engine, and `load` that of the host. They go out when all work has ended, and
    while there is work once a second and, for the load, ten times.
    """

    def __init__(self, tell: Callable[[Tick], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._tell = tell
        self._clock = clock
        self._working = 0
        self._message_at = 0.0
        self._figures_at = self._load_at = clock()
        self._begun: dict[str, bytes] = {}
        self._waits: Counter[str] = Counter()
        self.figures: Callable[[], dict[str, float]] = dict
        self.load: Callable[[], HostLoad | None] = lambda: None
        self._changing = threading.Lock()

    def begin(self, call: str, digest: bytes = b"", *, is_alone: bool = False) -> None:
        """Tell that a job, whose text has this digest, begins. Call this in its task, before the engine has
        it."""
        _CALL.set(call)
        self._begun[call] = digest
        self._change(1, begun=call, digest=digest, is_alone=is_alone)

    def end(self, call: str, *, is_whole: bool = True) -> None:
        """Tell that a job has ended, if it had begun."""
        digest = self._begun.pop(call, None)
        if digest is not None:
            self._change(-1, has_figures=not self._begun, ended=call, digest=digest, is_whole=is_whole)

    @contextmanager
    def waiting(self, call: str) -> Iterator[None]:
        """Mark a pause of a job that has begun: the engine waits, but not by its own fault.

        One job may wait for a reader and for its recording at once. It is for the event loop alone.
        """
        self._waits[call] += 1
        if self._waits[call] == 1:
            self._change(-1)
        try:
            yield
        finally:
            self._waits[call] -= 1
            if not self._waits[call]:
                del self._waits[call]
                self._change(1)

    @contextmanager
    def waiting_here(self) -> Iterator[None]:
        """Mark a pause of the job whose task this is. In any other task it has no effect."""
        call = _CALL.get()
        if call not in self._begun:
            yield
            return
        with self.waiting(call):
            yield

    def tick(self) -> None:
        """Note a finished unit of work. A call is cheap: a sign is sent at most once a second."""
        if self._clock() - self._message_at >= TELL_EVERY_S:
            self._change(0, has_figures=True)

    def tell_idle(self) -> None:
        """Tell the figures of a host without work. Such a host needs no sign of life."""
        if not self._begun:
            self._change(0, has_figures=True)

    def _change(self, by: int, *, has_figures: bool = False, **call: Any) -> None:
        # `call` has fields of `Tick`. With many short jobs, the figures go with these signs, not by `tick`.
        now = self._clock()
        if has_figures or now - self._figures_at >= TELL_EVERY_S:
            self._figures_at = now
            call["figures"] = self.figures()
        if "figures" in call or now - self._load_at >= LOAD_EVERY_S:
            self._load_at = now
            call["load"] = self.load()
        with self._changing:
            self._working += by
            self._message_at = self._clock()
            self._tell(Tick(self._working, **call))
