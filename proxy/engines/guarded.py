"""A cloud engine as the pipeline sees it: its keys, each behind a breaker, asked again where that is safe.

Only before any audio has left us, only where the provider certainly did nothing, and only in the time that
there is. What it cannot mend goes to the next candidate.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import msgspec
import structlog

from policies import provider_waits
from proxy.engines.dispatch import OnAsked, nobody_asks
from proxy.engines.in_process import InProcessEngine
from proxy.engines.provider_key import REFUSED, ProviderKey
from proxy.telemetry import EngineMetrics
from speech_engine import (
    Audio,
    Encoded,
    EngineError,
    EngineTimeout,
    EngineUnavailable,
    Event,
    ModelInfo,
    SpeechJob,
    VoiceInfo,
)
from speech_engine.host.messages import HealthReport

_NEARLY_S = 0.1
"""A try that is cancelled so shortly before its deadline was cancelled for it."""
_SILENCE_S = 1.0
"""Nobody is called silent who was asked for less than this: the rest of the time went by in our own line."""

_log = structlog.get_logger()


class GuardedEngine:
    def __init__(self, name: str, engines: Sequence[InProcessEngine], metrics: EngineMetrics) -> None:
        self.name = name
        self.keys = [ProviderKey(name, number, engine, metrics) for number, engine in enumerate(engines, 1)]
        self._metrics = metrics

    def __repr__(self) -> str:
        return f"<GuardedEngine {self.name}: {self.keys!r}>"

    @property
    def state(self) -> str:
        """`resting` while no key may be used; then the next candidate speaks."""
        return "ready" if any(key.breaker.is_closed for key in self.keys) else "resting"

    @property
    def reason(self) -> str:
        return "; ".join(
            f"{f'key {key.number}: ' if len(self.keys) > 1 else ''}{key.reason}"
            for key in self.keys
            if not key.breaker.is_closed
        )

    @property
    def slots(self) -> int:
        return sum(key.engine.slots for key in self.keys)

    def models(self) -> tuple[ModelInfo, ...]:
        """As the first key that has been told any knows them: one that is refused learns of none."""
        return next((models for key in self.keys if (models := key.engine.models())), ())

    def voices(self) -> tuple[VoiceInfo, ...]:
        return next((voices for key in self.keys if (voices := key.engine.voices())), ())

    async def health(self) -> HealthReport:
        found = [await key.engine.health() for key in self.keys]
        return HealthReport(
            sum(each.slots for each in found),
            sum(each.running for each in found),
            sum(each.waiting for each in found),
            sum(each.waiting_s for each in found),
        )

    async def speak(self, job: SpeechJob, on_asked: OnAsked = nobody_asks) -> AsyncGenerator[Event, None]:
        deadline = _now() + job.deadline_s
        tries = 0
        while True:
            attempt = _Try(self._choose(), deadline, on_asked)
            tries += 1
            left = msgspec.structs.replace(job, deadline_s=max(0.0, deadline - _now()))
            try:
                async with aclosing(attempt.events(left)) as events:
                    async for event in events:
                        yield event
                return
            except EngineError as error:
                delay_s = self._delay_s(error, attempt, tries, deadline - _now())
                if delay_s is None:
                    raise
                on_asked(False)
                self._metrics.retried(self.name, type(error).__name__)
                _log.info("engine.retry.started", engine=self.name, job=job.id, error=type(error).__name__)
            await asyncio.sleep(delay_s)

    def _choose(self) -> ProviderKey:
        """The first key that may be tried: others are there for when it may not."""
        for key in self.keys:
            if key.may_try:
                return key
        soonest_s = min(key.opens_in_s for key in self.keys)
        raise EngineUnavailable(f"{self.name} is resting: {self.reason}", retry_after_s=max(1.0, soonest_s))

    def _delay_s(self, error: EngineError, attempt: _Try, tries: int, left_s: float) -> float | None:
        if attempt.has_begun:
            return None
        if isinstance(error, REFUSED):
            return 0.0 if left_s > 0 and any(key.may_try for key in self.keys) else None
        if not error.may_retry:
            return None
        return provider_waits.retry_delay_s(tries, error.retry_after_s, random.random(), left_s)


class _Try:
    """One try of one key, and what it says of it."""

    def __init__(self, key: ProviderKey, deadline: float, on_asked: OnAsked) -> None:
        self.has_begun = False
        self._on_asked = on_asked
        self._key = key
        self._deadline = deadline
        self._asked_at: float | None = None
        self._is_probe = False
        self._is_told = False
        self._is_over = False

    async def events(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        self._is_probe = self._key.begin()
        try:
            async with aclosing(self._key.engine.speak(job, self._asked)) as events:
                async for event in events:
                    if not self.has_begun and isinstance(event, (Audio, Encoded)):
                        self.has_begun = True
                        self._tell(None)
                    yield event
            self._tell(None)
            self._is_over = True
        except EngineError as error:
            self._tell(error)
            self._is_over = True
            raise
        finally:
            self._end()

    def _asked(self, is_asked: bool) -> None:
        self._asked_at = _now()
        self._on_asked(is_asked)

    def _tell(self, error: EngineError | None) -> None:
        """Once is enough, but for a fault after audio. Who was never asked has not failed."""
        if self._asked_at is not None and (error is not None or not self._is_told):
            self._is_told = self._key.tried(error, is_probe=self._is_probe)

    def _end(self) -> None:
        if not self._is_told and not self._is_over and self._was_silent():
            self._tell(EngineTimeout("It gave no audio in time."))
        if not self._is_told and self._is_probe:
            self._key.give_up()

    def _was_silent(self) -> bool:
        now = _now()
        return self._asked_at is not None and now >= max(
            self._deadline - _NEARLY_S, self._asked_at + _SILENCE_S
        )


def _now() -> float:
    return asyncio.get_running_loop().time()
