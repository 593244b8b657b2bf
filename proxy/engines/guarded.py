"""A cloud engine as the pipeline sees it: its keys, each behind a breaker, and a safe second try.

A try is repeated only before any audio has left us, only if the provider certainly did nothing, and only
within the job's deadline. Other failures go to the next candidate.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import msgspec
import structlog

from policies import provider_waits
from proxy.engines.dispatch import OnDispatch, ignore_dispatch
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
"""A try that is cancelled so shortly before its deadline was cancelled because of the deadline."""
_SILENCE_S = 1.0
"""A provider that had less time than this is not called silent: the job spent the rest in our own queue."""

_log = structlog.get_logger()


class GuardedEngine:
    keeps_spool = False

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
        """Return the models of the first key that knows any. A refused key knows none."""
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

    async def speak(
        self, job: SpeechJob, on_dispatch: OnDispatch = ignore_dispatch
    ) -> AsyncGenerator[Event, None]:
        deadline = _now() + job.deadline_s
        tries = 0
        while True:
            attempt = _Attempt(self._choose(), deadline, on_dispatch)
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
                on_dispatch(False)
                self._metrics.retried(self.name, type(error).__name__)
                _log.info("engine.retry.started", engine=self.name, job=job.id, error=type(error).__name__)
            await asyncio.sleep(delay_s)

    def _choose(self) -> ProviderKey:
        """Return the first key whose breaker allows a try."""
        for key in self.keys:
            if key.may_try:
                return key
        soonest_s = min(key.opens_in_s for key in self.keys)
        raise EngineUnavailable(f"{self.name} is resting: {self.reason}", retry_after_s=max(1.0, soonest_s))

    def _delay_s(self, error: EngineError, attempt: _Attempt, tries: int, left_s: float) -> float | None:
        if attempt.has_begun:
            return None
        if isinstance(error, REFUSED):
            return 0.0 if left_s > 0 and any(key.may_try for key in self.keys) else None
        if not error.may_retry:
            return None
        return provider_waits.retry_delay_s(tries, error.retry_after_s, random.random(), left_s)


class _Attempt:
    """One try of one key. It reports to the key how the try ended."""

    def __init__(self, key: ProviderKey, deadline: float, on_dispatch: OnDispatch) -> None:
        self.has_begun = False
        self._on_dispatch = on_dispatch
        self._key = key
        self._deadline = deadline
        self._dispatched_at: float | None = None
        self._is_probe = False
        self._is_reported = False
        self._is_over = False

    async def events(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        self._is_probe = self._key.begin()
        try:
            async with aclosing(self._key.engine.speak(job, self._note_dispatch)) as events:
                async for event in events:
                    if not self.has_begun and isinstance(event, (Audio, Encoded)):
                        self.has_begun = True
                        self._report(None)
                    yield event
            self._report(None)
            self._is_over = True
        except EngineError as error:
            self._report(error)
            self._is_over = True
            raise
        finally:
            self._end()

    def _note_dispatch(self, is_dispatched: bool) -> None:
        self._dispatched_at = _now()
        self._on_dispatch(is_dispatched)

    def _report(self, error: EngineError | None) -> None:
        """Report once; report again only a fault after audio. A job that never left our queue is no fault."""
        if self._dispatched_at is not None and (error is not None or not self._is_reported):
            self._is_reported = self._key.note_try(error, is_probe=self._is_probe)

    def _end(self) -> None:
        if not self._is_reported and not self._is_over and self._was_silent():
            self._report(EngineTimeout("It gave no audio in time."))
        if not self._is_reported and self._is_probe:
            self._key.give_up()

    def _was_silent(self) -> bool:
        now = _now()
        return self._dispatched_at is not None and now >= max(
            self._deadline - _NEARLY_S, self._dispatched_at + _SILENCE_S
        )


def _now() -> float:
    return asyncio.get_running_loop().time()
