"""The end of all work and of all recordings in a host that no gateway watches any more.

An erasure reaches the hosts that gateways watch. So a host that is cut off may keep no recording for longer
than the gateways wait: they take it for forgotten `FORGOTTEN_S` after they have lost the host.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from speech_engine.host.cluster_messages import UNWATCHED_S
from speech_engine.plugin import Logger


class UnwatchedWork:
    """The watch over a host by gateways. Its supervisor's messages come to `note`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_at = clock()
        self._was_unwatched = False
        self._noted = asyncio.Event()

    def note(self, is_first: bool) -> None:
        """Note that a gateway watches. `is_first`: none did before."""
        # A process that was stopped for a while hears late, and its timer may be later still.
        self._was_unwatched |= is_first or self._clock() - self._last_at >= UNWATCHED_S
        self._last_at = self._clock()
        self._noted.set()

    async def end(self, forget_all: Callable[[], Awaitable[None]], log: Logger) -> None:
        """Forget whenever no gateway watches. Runs without end."""
        while True:
            self._noted.clear()
            if self._was_unwatched:
                self._was_unwatched = False
                await forget_all()
            try:
                async with asyncio.timeout(max(0.0, self._last_at + UNWATCHED_S - self._clock())):
                    await self._noted.wait()
            except TimeoutError:
                await forget_all()
                log.info("host.unwatched.forgotten")
                await self._noted.wait()
