"""An engine that gets no more requests than its provider allows: an early job waits in its slot.

So the provider has no reason to refuse one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing

from policies import provider_waits
from proxy.engines.dispatch import OnDispatch, ignore_dispatch
from speech_engine import Engine, EngineLimited, EngineVoices, Event, SpeechJob, VoiceInfo

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
        now = asyncio.get_running_loop().time()
        pause_s = min(max(provider_s or 0.0, _SHORTEST_PAUSE_S), _LONGEST_PAUSE_S)
        self._paused_until = max(self._paused_until, now + pause_s)

    async def turn(self, within_s: float) -> None:
        """Wait until the key may be used. Raise EngineLimited if that is later than `within_s`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        while (wait_s := self._wait_s(loop.time())) > 0:
            if loop.time() + wait_s > deadline:
                raise EngineLimited("The provider allows no more requests in time.", retry_after_s=wait_s)
            await asyncio.sleep(wait_s)
        self._sent.append(loop.time())

    def _wait_s(self, now: float) -> float:
        paused_s = max(0.0, self._paused_until - now)
        return (
            paused_s
            if self._most is None
            else max(paused_s, provider_waits.pace_wait_s(self._sent, self._most, now))
        )


class PacedEngine:
    """A `speech_engine.Engine` around another one, which keeps the pace of its key."""

    def __init__(self, engine: Engine, pace: ProviderPace, slots: int) -> None:
        self.inner = engine
        self.slots = slots
        self.models = engine.models
        self._pace = pace

    def __repr__(self) -> str:
        return f"<PacedEngine {self._pace!r}>"

    def voices(self) -> tuple[VoiceInfo, ...]:
        return self.inner.voices() if isinstance(self.inner, EngineVoices) else ()

    async def speak(
        self, job: SpeechJob, on_dispatch: OnDispatch = ignore_dispatch
    ) -> AsyncGenerator[Event, None]:
        await self._pace.turn(job.deadline_s)
        on_dispatch(True)
        try:
            async with aclosing(self.inner.speak(job)) as events:
                async for event in events:
                    yield event
        except EngineLimited as error:
            self._pace.pause(error.retry_after_s)
            raise
