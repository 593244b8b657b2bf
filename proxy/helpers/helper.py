"""A helper is a child process that starts when it is needed, answers questions, and ends when it is idle.

Each process of a helper is a `Life`. With `is_for_one`, each question gets its own process, so that a process
sees the file of one stranger only. Any other helper has one process at a time, for all callers.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, nullcontext
from typing import Any, Literal, TypeVar

import msgspec

from proxy.helpers.child import JOB_NICENESS, MOST_FRAME_BYTES, Child
from speech_engine.host.pipe_messages import Broken
from speech_engine.redacted import Redacted

_FIRST_USE_S = 10.0
"""A new life waits at least so long for its first caller, which may have left."""

_INHERITED = ("LD_LIBRARY_PATH", "PYTHONPATH")

_T = TypeVar("_T")
_Cause = Literal["refused", "died", "nonsense"]


class HelperFailed(Exception):
    """The helper gave no answer. The message has the reason.

    The cause is `refused` if the process could not be started, or cannot be used. It is `died` if the process
    ended before its answer; then `status` is its exit status, below 0 for a signal. It is `nonsense` if the
    answer cannot be read.
    """

    def __init__(self, message: str = "", cause: _Cause = "nonsense", status: int | None = None) -> None:
        super().__init__(message)
        self.cause = cause
        self.status = status

    @property
    def has_used_its_time(self) -> bool:
        """Whether the process reached its limit of CPU time. With the same question, another would, too."""
        return self.status == -signal.SIGXCPU


class HelperSpec(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """A module that is run as `python -m MODULE PIPE_FD ARGUMENTS`, and how it lives.

    A plugin's process gets the first message `begin`, and answers it when it is ready. It gets `environ`, and
    writes into our log. Without `begin` it is our own: it gets the variables in `_INHERITED` and `variables`,
    and takes questions at once.
    """

    module: str
    name: str = ""
    """The name in messages of errors. The module stands for an empty one."""
    arguments: tuple[str, ...] = ()
    inherit: tuple[int, ...] = ()
    """Open files, whose numbers follow the arguments."""
    begin: msgspec.Struct | None = None
    unpack: Callable[[bytes], Any] = msgspec.msgpack.decode
    """Reads the messages of a plugin's process."""
    interpreter: str = sys.executable
    environ: Mapping[str, str] = {}
    variables: tuple[str, ...] = ()
    niceness: int = JOB_NICENESS
    start_s: float = 60.0
    idle_s: float = 120.0
    is_for_one: bool = False
    keeps_spare: bool = False
    """Start the next life as soon as one is used: the start takes a third of a second."""
    most_tries: int = 1
    """With 2, a question whose process dies goes to a second one, unless the first used up its CPU time."""
    again_within_s: float | None = None
    """A question whose process dies later than this is not tried again: both tries would take too long."""
    most_answer_bytes: int = MOST_FRAME_BYTES


class Life:
    """A process that takes questions. `ready` is its first message, if it sends one."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.ready: Any = None
        self.users = 0
        self.is_over = False

    async def ask(self, question: bytes) -> bytes:
        """Return the answer. Raises HelperFailed."""
        await self.send(question)
        return await self.receive()

    async def send(self, frame: bytes) -> None:
        """Send a part of a question. Raises HelperFailed."""
        self.child.send_frame(frame)
        try:
            await self.child.drain()
        except ConnectionError:
            raise await self._died() from None

    async def receive(self) -> bytes:
        """Return the next part of the answer. Raises HelperFailed."""
        try:
            frame = await self.child.read()
        except msgspec.DecodeError:
            raise HelperFailed("the process answered too much") from None
        if frame is None:
            raise await self._died()
        return frame

    async def _died(self) -> HelperFailed:
        return HelperFailed("the process ended while it was asked", "died", await self.child.wait_for_end())


class Helper:
    """Starts and ends the processes of a spec, and gives them questions. Its owner closes it."""

    def __init__(self, spec: HelperSpec) -> None:
        self.spec = spec
        self.turn = asyncio.Lock()
        """The turn of the callers of `ask`, unless `is_for_one`."""
        self.under_way: set[asyncio.Task[Any]] = set()
        """The work that goes on if its caller leaves: see `start_work`."""
        self._current: asyncio.Task[Life | HelperFailed] | None = None
        """The life of the next caller, or its start."""
        self._idle_timer: asyncio.TimerHandle | None = None
        self._lives: set[Life] = set()
        self._ending_tasks: set[asyncio.Task[Any]] = set()
        self._is_closed = False

    def __repr__(self) -> str:
        ready = "one" if self.is_ready else "none"
        return f"<Helper {self.spec.name or self.spec.module}, {ready} ready, {len(self._lives)} alive>"

    @property
    def is_ready(self) -> bool:
        """Whether a process waits for a question, or is being started."""
        if isinstance(life := self._life, Life):
            return not life.child.is_dead
        return life is None and self._current is not None

    @property
    def _life(self) -> Life | HelperFailed | None:
        """The result of the last start; None while it runs and before the first one."""
        return self._current.result() if self._current is not None and self._current.done() else None

    def start_work(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """Begin work that goes on if its caller leaves. The caller waits for it with `asyncio.shield`."""
        task = asyncio.create_task(work)
        self.under_way.add(task)
        task.add_done_callback(self.under_way.discard)
        return task

    async def ask(self, question: bytes, *, within_s: float) -> bytes:
        """Return the answer to a question. A process answers one question at a time.

        The time includes the wait for the turn, and for the start. Raises HelperFailed and TimeoutError.
        """
        async with asyncio.timeout(within_s), nullcontext() if self.spec.is_for_one else self.turn:
            return await self.run_with_process(lambda life: life.ask(question))

    async def run_with_process(
        self, work: Callable[[Life], Awaitable[_T]], *, within_s: float | None = None
    ) -> _T:
        """Return the result of `work`. If its process dies, the next try has `within_s` again."""
        retry_limit_s = math.inf if self.spec.again_within_s is None else self.spec.again_within_s
        for tries_left in reversed(range(self.spec.most_tries)):
            begun_s = time.monotonic()
            try:
                async with asyncio.timeout(within_s), self.use_process() as life:
                    begun_s = time.monotonic()
                    return await work(life)
            except HelperFailed as failed:
                if failed.cause != "died":
                    raise
                if not tries_left or failed.has_used_its_time or time.monotonic() - begun_s > retry_limit_s:
                    raise
        raise AssertionError("it has no lives")

    @asynccontextmanager
    async def use_process(self) -> AsyncIterator[Life]:
        """Use a process for a block. If the block fails, the process ends. Raises HelperFailed."""
        life = await self.take_process()
        has_succeeded = False
        try:
            yield life
            has_succeeded = True
        finally:
            if not has_succeeded:
                self.kill_process(life)  # its later messages would look like answers to other questions
            self.return_process(life)

    async def take_process(self) -> Life:
        """Return a process, started if there is none. Return it by `return_process`. Raises HelperFailed."""
        starting = self._current_or_new()
        if self.spec.is_for_one:
            self._current = None
        try:
            # All waiting callers share one start, which goes on if one of them is cancelled.
            life = await asyncio.shield(starting)
        except asyncio.CancelledError:
            if self.spec.is_for_one:
                self._abandon(starting)
            raise
        if isinstance(life, HelperFailed):
            raise life.with_traceback(None)
        life.users += 1
        if self.spec.keeps_spare and self._current is None and not self._is_closed:
            self._current = asyncio.create_task(self._start())
        return life

    def return_process(self, life: Life) -> None:
        """Give a process back. It ends after an idle time, or at once if it gets no more callers."""
        life.users -= 1
        if life.users:
            return
        if self._life is life:
            self._end_after(self.spec.idle_s)
        else:
            self.kill_process(life)

    def kill_process(self, life: Life) -> None:
        """Kill a process. A background task waits for its end, since the caller may have been cancelled."""
        if life.is_over:
            return
        life.is_over = True
        self._lives.discard(life)
        if self._life is life:
            self._current = None
        life.child.kill()
        self._in_background(asyncio.create_task(life.child.wait_for_end()))

    def start_early(self) -> None:
        """Start a process that will be needed soon, if there is none."""
        self._current_or_new()

    async def close(self) -> None:
        """End all work and all processes, also those in use."""
        self._is_closed = True
        for task in self.under_way:
            task.cancel()
        while self.under_way:
            await asyncio.wait(self.under_way)
        if self._current is not None:
            self._abandon(self._current)
        for life in tuple(self._lives):
            self.kill_process(life)
        self._end_after(None)
        while self._ending_tasks:
            await asyncio.wait(self._ending_tasks)

    def _current_or_new(self) -> asyncio.Task[Life | HelperFailed]:
        """Return the task that starts, or has started, the current process. Begin one if there is none."""
        life = self._life
        if isinstance(life, Life) and life.child.is_dead:
            self.kill_process(life)
        elif isinstance(life, HelperFailed):
            self._current = None
        if self._current is None:
            self._current = asyncio.create_task(self._start())
        return self._current

    async def _start(self) -> Life | HelperFailed:
        name = self.spec.name or self.spec.module
        try:
            async with asyncio.timeout(self.spec.start_s):
                life = await self._begin(name)
        except TimeoutError:
            return HelperFailed(f"{name} was not ready within {self.spec.start_s:g} s", "refused")
        except OSError as error:
            return HelperFailed(f"{name} cannot be started: {error.strerror}", "refused")
        except HelperFailed as refused:
            return refused
        if self._current is asyncio.current_task():
            self._end_after(max(self.spec.idle_s, _FIRST_USE_S))
        return life

    async def _begin(self, name: str) -> Life:
        spec, is_ours = self.spec, self.spec.begin is None
        if self._is_closed:
            raise HelperFailed(f"{name} is closed", "refused")
        child = await Child.start(
            spec.module,
            *spec.arguments,
            interpreter=spec.interpreter,
            environ=_environment_of(*_INHERITED, *spec.variables) if is_ours else spec.environ,
            inherit=spec.inherit,
            niceness=spec.niceness,
            is_silent=is_ours,
            most_frame_bytes=spec.most_answer_bytes,
        )
        life = Life(child)
        self._lives.add(life)
        if spec.begin is None:
            return life
        is_begun = False
        try:
            child.send(spec.begin)
            ready = spec.unpack(await life.receive())
            is_begun = not isinstance(ready, Broken)
        except (HelperFailed, msgspec.MsgspecError):
            raise HelperFailed(f"{name} ended while it started", "refused") from None
        finally:
            if not is_begun:
                self.kill_process(life)
        if isinstance(ready, Broken):
            raise HelperFailed(f"{name} cannot be used: {ready.reason}", "refused")
        life.ready = ready
        return life

    def _abandon(self, starting: asyncio.Task[Life | HelperFailed]) -> None:
        """End a process that no caller will get, or cancel its start."""
        if self._current is starting:
            self._current = None
        if not starting.done():
            starting.cancel()
            self._in_background(starting)
        elif isinstance(life := starting.result(), Life):
            self.kill_process(life)

    def _end_after(self, seconds: float | None) -> None:
        """End the current process after so many seconds if it is idle then. None means never."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        loop = asyncio.get_running_loop()
        self._idle_timer = None if seconds is None else loop.call_later(seconds, self._end_idle)

    def _end_idle(self) -> None:
        if isinstance(life := self._life, Life) and not life.users:
            self.kill_process(life)

    def _in_background(self, ending: asyncio.Task[Any]) -> None:
        self._ending_tasks.add(ending)
        ending.add_done_callback(self._ending_tasks.discard)


def _environment_of(*names: str) -> dict[str, str]:
    # OpenBLAS's pool of threads would take most of its memory, and is not used.
    return {name: os.environ[name] for name in names if name in os.environ} | {"OPENBLAS_NUM_THREADS": "1"}
