"""An engine that is asked no faster than its provider allows: whoever is too early waits in the slot, and
nobody collects refusals."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing

from policies import provider_waits
from proxy.engines.dispatch import OnAsked, nobody_asks
from speech_engine import Engine, EngineLimited, EngineVoices, Event, SpeechJob, VoiceInfo

_SHORTEST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
"""A provider that says more is asked again all the same: a slip of its clock must not cost a day."""


class ProviderPace:
    """All that one key is asked: `most` a minute, None for no limit; `pause` is the provider's own word."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        # Without a limit nothing is to be remembered.
        self._sent: deque[float] = deque(maxlen=most or 0)
        self._paused_until = 0.0

    def __repr__(self) -> str:
        return f"<ProviderPace {len(self._sent)} of {self._most or 'any number'} a minute>"

    def pause(self, told_s: float | None) -> None:
        now = asyncio.get_running_loop().time()
        pause_s = min(max(told_s or 0.0, _SHORTEST_PAUSE_S), _LONGEST_PAUSE_S)
        self._paused_until = max(self._paused_until, now + pause_s)

    async def turn(self, within_s: float) -> None:
        """Raises EngineLimited where it would be too late."""
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
    """Fits `speech_engine.Engine`, around one."""

    def __init__(self, engine: Engine, pace: ProviderPace, slots: int) -> None:
        self.inner = engine
        self.slots = slots
        self.models = engine.models
        self._pace = pace

    def __repr__(self) -> str:
        return f"<PacedEngine {self._pace!r}>"

    def voices(self) -> tuple[VoiceInfo, ...]:
        return self.inner.voices() if isinstance(self.inner, EngineVoices) else ()

    async def speak(self, job: SpeechJob, on_asked: OnAsked = nobody_asks) -> AsyncGenerator[Event, None]:
        await self._pace.turn(job.deadline_s)
        on_asked(True)
        try:
            async with aclosing(self.inner.speak(job)) as events:
                async for event in events:
                    yield event
        except EngineLimited as error:
            self._pace.pause(error.retry_after_s)
            raise
