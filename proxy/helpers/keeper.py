"""The keeper of a child that serves as long as the server does: it starts it again when it ends."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import structlog

from policies.host_health import Crash, restart_delay_s
from proxy.helpers.child import Child
from speech_engine.host.pipe_messages import Broken, Message, Ready

_CRASHES_KEPT = 100

_log = structlog.get_logger()


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
