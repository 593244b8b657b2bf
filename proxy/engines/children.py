"""The supervisor's children: a process with its end of the pipe, and the keeper that restarts it."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing

import msgspec
import structlog

from policies.host_health import Crash, restart_delay_s
from speech_engine.host import pipe
from speech_engine.host.pipe_messages import (
    Broken,
    Drain,
    Message,
    Ready,
)

_LINGER_S = 2.0
_CRASHES_KEPT = 100

_log = structlog.get_logger()


class Child:
    """One life of one process. Its pipe fd travels by inheritance, its first message over the pipe."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.process = process
        self._reader = reader
        self._writer = writer

    def __repr__(self) -> str:
        return f"<Child pid {self.process.pid}>"

    @classmethod
    async def start(
        cls,
        module: str,
        *arguments: str,
        interpreter: str = sys.executable,
        inherit: tuple[int, ...] = (),
        environ: Mapping[str, str] | None = None,
    ) -> Child:
        """Start a process. Its argv: the number of its pipe, the arguments, the numbers of what it inherits.

        Without `environ` it gets our environment.
        """
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                interpreter,
                "-P",  # files in the current folder are not our modules
                "-m",
                module,
                str(theirs.fileno()),
                *arguments,
                *map(str, inherit),
                pass_fds=(theirs.fileno(), *inherit),
                stdin=asyncio.subprocess.DEVNULL,
                env=environ,
                start_new_session=True,  # a Ctrl-C in the terminal is for the supervisor alone
            )
        finally:
            theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours)
        return cls(process, reader, writer)

    def send(self, message: Message) -> None:
        if not self._writer.is_closing():
            self._writer.write(pipe.pack(message))

    async def messages(self) -> AsyncGenerator[Message, None]:
        """Yield the child's messages, until its end of the pipe closes."""
        try:
            while True:
                head = await self._reader.readexactly(pipe.HEAD_BYTES)
                yield pipe.unpack(await self._reader.readexactly(pipe.length(head)))
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        except msgspec.MsgspecError:
            _log.warning("child.message.unreadable", pid=self.process.pid)
            return  # a child that talks nonsense is over: `wait_for_end` kills it

    async def wait_for_end(self) -> int:
        """Return its exit status. Call this when the pipe has closed: a child that lingers is killed."""
        try:
            async with asyncio.timeout(_LINGER_S):
                await self.process.wait()
        except TimeoutError:
            self.kill()
        self._writer.close()
        return await self.process.wait()

    async def stop(self, within_s: float) -> None:
        """Ask the child to finish. Kill it if it runs longer than the time."""
        self.send(Drain(within_s))
        try:
            async with asyncio.timeout(within_s + _LINGER_S):
                await self.process.wait()
        except TimeoutError:
            self.kill()
            await self.process.wait()
        self._writer.close()

    def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()


class Keeper:
    """The keeper of one child: it starts it, restarts it with back-off, and gives up with a reason.

    `begin` makes a child and sends it its task. `on_state` gets (state, generation, reason) at each change:
    starting, ready, restarting, failed. `on_message` gets all other messages. `has_work` tells whether the
    child has work in hand: of that, it may die as often as it likes.
    """

    def __init__(
        self,
        name: str,
        begin: Callable[[], Awaitable[Child]],
        on_state: Callable[[str, int, str], None],
        on_message: Callable[[Message], None],
        has_work: Callable[[], bool] = lambda: False,
    ) -> None:
        self.name = name
        self.child: Child | None = None
        self.generation = 0
        self.state = "starting"
        self.reason = ""
        self._begin = begin
        self._on_state = on_state
        self._on_message = on_message
        self._has_work = has_work
        self._crashes: deque[Crash] = deque(maxlen=_CRASHES_KEPT)
        self._killed_for = ""
        self._stopping = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Keeper of {self.name}: {self.state}, generation {self.generation}>"

    async def run(self) -> None:
        while not self._stopping.is_set():
            self.generation += 1
            self._tell("starting")
            delay_s = self._after_end(await self._life())
            if delay_s is None:
                return
            try:
                async with asyncio.timeout(delay_s):
                    await self._stopping.wait()
            except TimeoutError:
                continue

    def kill(self, reason: str) -> None:
        """End this life at once, for `reason`. It counts as a crash."""
        if self.child is not None:
            self._killed_for = reason
            self.child.kill()

    def retire(self) -> None:
        """Make this life the last one."""
        self._stopping.set()

    async def stop(self, within_s: float) -> None:
        self.retire()
        if self.child is not None:
            await self.child.stop(within_s)

    def revive(self) -> None:
        """Forget that it was stopped or given up: `run` may be called again."""
        self._stopping.clear()
        self._crashes.clear()
        self.reason = ""

    async def _life(self) -> Broken:
        """Run one life from begin to end. Return why it ended."""
        try:
            self.child = child = await self._begin()
        except OSError as error:
            # No process or file descriptor is free. This passes like a crash, and counts as one.
            return Broken(f"the process could not be started: {error.strerror}")
        if self._stopping.is_set():
            await child.stop(0.0)  # `stop` came before there was a child
        broken = await self._live(child)
        code = await child.wait_for_end()
        self.child = None
        reason, self._killed_for = self._killed_for or f"the process ended with status {code}", ""
        return broken or Broken(reason)

    def _after_end(self, end: Broken) -> float | None:
        """Return the pause before the next life, or None if this life was the last."""
        if self._stopping.is_set():
            return None
        self.reason = end.reason
        now = time.monotonic()
        self._crashes.append(Crash(now, self._has_work(), was_loading=self.state == "starting"))
        delay_s = restart_delay_s(list(self._crashes), now)
        if delay_s is None or end.lasting:
            self._tell("failed")
            return None
        self._tell("restarting")
        return delay_s

    async def _live(self, child: Child) -> Broken | None:
        async with aclosing(child.messages()) as messages:
            async for message in messages:
                match message:
                    case Ready():
                        self.reason = ""
                        self._on_message(message)
                        self._tell("ready")
                    case Broken():
                        return message  # its pipe may stay open: a thread of a library keeps the process
                    case _:
                        self._on_message(message)
        return None

    def _tell(self, state: str) -> None:
        self.state = state
        log = _log.info if state in ("starting", "ready") else _log.warning
        log(f"child.state.{state}", child=self.name, generation=self.generation, reason=self.reason)
        self._on_state(state, self.generation, self.reason)
