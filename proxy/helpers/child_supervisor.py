"""Keeps one child process alive as long as the server runs."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from typing import NamedTuple

import structlog

from policies.host_health import Crash, restart_delay_s
from proxy.helpers.child import Child
from speech_engine.bounds import cut
from speech_engine.host.pipe_messages import Broken, Message, Ready

_CRASHES_COUNTED = 100

_log = structlog.get_logger()


class _End(NamedTuple):
    """Why a process ended. With `is_put_off` it was no crash: the next one begins after `restart_after_s`, or
    after `wake`. With `is_last`, none follows."""

    reason: str
    is_last: bool = False
    is_put_off: bool = False
    restart_after_s: float | None = None


class ChildSupervisor:
    """Starts one child, restarts it with back-off, and gives up with a reason.

    `begin` makes a child and sends it its task. `on_state` gets (state, generation, reason) at each change:
    starting, ready, restarting, waiting, failed. `on_message` gets all other messages. `has_work` tells
    whether the child has work: a crash during work does not count towards giving up.
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
        self._crashes: deque[Crash] = deque(maxlen=_CRASHES_COUNTED)
        self._end_by_kill: _End | None = None
        self._stop_requested = asyncio.Event()
        self._awake = asyncio.Event()

    async def run(self) -> None:
        while not self._stop_requested.is_set():
            self.generation += 1
            self._set_state("starting")
            end = await self._run_child()
            if self._stop_requested.is_set():
                return
            self.reason = cut(end.reason)
            if end.is_put_off:
                self._set_state("waiting")
                wake_event, pause_s = self._awake, end.restart_after_s
            else:
                delay_s = self._delay_after_crash(end)
                if delay_s is None:
                    return
                wake_event, pause_s = self._stop_requested, delay_s
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await wake_event.wait()

    def kill(self, reason: str, *, is_last: bool = False) -> None:
        """Kill the process, for `reason`. That counts as a crash. With `is_last`, none follows."""
        self._kill_child(_End(reason, is_last))

    def put_off(self, reason: str, restart_after_s: float | None) -> None:
        """Kill the process. The next one begins after `wake`, or after `restart_after_s`."""
        self._awake.clear()
        self._kill_child(_End(reason, is_put_off=True, restart_after_s=restart_after_s))

    def wake(self) -> None:
        """Let the next process begin after `put_off`."""
        self._awake.set()

    def _kill_child(self, end: _End) -> None:
        if self.child is not None:
            self._end_by_kill = end
            self.child.kill()

    def retire(self) -> None:
        """Start no other process after this one."""
        self._stop_requested.set()
        self._awake.set()

    async def stop(self, within_s: float) -> None:
        self.retire()
        if self.child is not None:
            await self.child.stop(within_s)

    def revive(self) -> None:
        """Forget earlier stops and crashes, so that `run` may be called again."""
        self._stop_requested.clear()
        self._crashes.clear()
        self.reason = ""

    async def _run_child(self) -> _End:
        try:
            self.child = child = await self._begin()
        except OSError as error:
            # No process or file descriptor is free. This passes like a crash, and counts as one.
            return _End(f"the process could not be started: {error.strerror}")
        if self._stop_requested.is_set():
            await child.stop(0.0)  # `stop` came before there was a child
        broken = await self._read_messages(child)
        code = await child.wait_for_end()
        self.child = None
        end, self._end_by_kill = self._end_by_kill or _End(f"the process ended with status {code}"), None
        return end if broken is None else _End(broken.reason, broken.lasting)

    def _delay_after_crash(self, end: _End) -> float | None:
        """Return the pause before the next process, or None if there is none."""
        now = time.monotonic()
        self._crashes.append(Crash(now, self._has_work(), was_loading=self.state == "starting"))
        delay_s = restart_delay_s(list(self._crashes), now)
        if delay_s is None or end.is_last:
            self._set_state("failed")
            return None
        self._set_state("restarting")
        return delay_s

    async def _read_messages(self, child: Child) -> Broken | None:
        async with aclosing(child.messages()) as messages:
            async for message in messages:
                match message:
                    case Ready():
                        self.reason = ""
                        self._on_message(message)
                        self._set_state("ready")
                    case Broken():
                        return message  # a library's thread may keep its pipe open
                    case _:
                        self._on_message(message)
        return None

    def _set_state(self, state: str) -> None:
        self.state = state
        log = _log.info if state in ("starting", "ready") else _log.warning
        log(f"child.state.{state}", child=self.name, generation=self.generation, reason=self.reason)
        self._on_state(state, self.generation, self.reason)
