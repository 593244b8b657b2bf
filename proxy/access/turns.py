"""Turns of networks: what strangers make the server do costs each network a place of its own, so that those
of one network wait for each other, and not the others for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from proxy.errors import StorageUnavailable

_WAIT_S = 5.0


class NetworkTurns:
    """So many turns of each network at once. The others wait until one has ended."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, network: str) -> AsyncIterator[bool]:
        """Wait for a turn, and say whether there was a wait.

        Raises StorageUnavailable if the turns before do not end.
        """
        turns = self._turns.setdefault(network, asyncio.Semaphore(self._at_once))
        has_waited = turns.locked()
        try:
            async with asyncio.timeout(_WAIT_S):
                await turns.acquire()
        except TimeoutError:
            raise StorageUnavailable() from None
        try:
            yield has_waited
        finally:
            turns.release()
