"""The pace of a provider's key: no more requests than the provider allows. An early job waits in its slot.

So the provider has no reason to refuse one.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

from policies import provider_waits
from speech_engine import EngineLimited

_SHORTEST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
"""A longer pause of a provider is cut to this: a mistake of its clock must not cost a day."""


class ProviderPace:
    """The pace of one key: `most` requests a minute, None for no limit. A provider may ask for a pause."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        # Without a limit there is nothing to remember.
        self._sent: deque[float] = deque(maxlen=most or 0)
        self._paused_until = 0.0

    def __repr__(self) -> str:
        return f"<ProviderPace {len(self._sent)} of {self._most or 'any number'} a minute>"

    def pause(self, provider_s: float | None) -> None:
        """Send nothing for the time that the provider names."""
        now = time.monotonic()
        pause_s = min(max(provider_s or 0.0, _SHORTEST_PAUSE_S), _LONGEST_PAUSE_S)
        self._paused_until = max(self._paused_until, now + pause_s)

    async def turn(self, within_s: float) -> None:
        """Wait until the key may be used. Raise EngineLimited if that is later than `within_s`."""
        now = time.monotonic()
        if self._most is None and now >= self._paused_until:
            return
        deadline = now + within_s
        while (wait_s := self._wait_s(now)) > 0:
            if now + wait_s > deadline:
                raise EngineLimited("The provider allows no more requests in time.", retry_after_s=wait_s)
            await asyncio.sleep(wait_s)
            now = time.monotonic()
        self._sent.append(now)

    def _wait_s(self, now: float) -> float:
        paused_s = max(0.0, self._paused_until - now)
        return (
            paused_s
            if self._most is None
            else max(paused_s, provider_waits.pace_wait_s(self._sent, self._most, now))
        )
