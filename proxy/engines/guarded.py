"""A cloud engine as the pipeline sees it: its keys, each behind a breaker, asked again where that is safe.

Only before any audio has left us, only where the provider certainly did nothing, and only in the time that
there is. What it cannot mend goes to the next candidate.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Protocol

import msgspec
import structlog

from policies import backoff, breaker
from policies.breaker import CLOSED, Breaker
from proxy.engines.in_process import InProcessEngine
from speech_engine import (
    Audio,
    Encoded,
    EngineError,
    EngineExhausted,
    EngineFailed,
    EngineStumbled,
    EngineTimeout,
    EngineUnauthorized,
    EngineUnavailable,
    Event,
    ModelInfo,
    SpeechJob,
    VoiceInfo,
)
from speech_engine.host.messages import Health

_REFUSED = (EngineUnauthorized, EngineExhausted)
_FAULTY = (EngineFailed, EngineStumbled, EngineTimeout, EngineUnavailable)
_NEARLY_S = 0.1
"""A try that is cancelled so shortly before its deadline was cancelled for it: the provider was silent."""

_log = structlog.get_logger()


class Watch(Protocol):
    """What the operator is told of: counters and gauges."""

    def retried(self, engine: str, error: str) -> None: ...

    def alarmed(self, engine: str, error: str) -> None: ...

    def breaker(self, engine: str, key: int, is_open: bool) -> None: ...


class Key:
    """One of an engine's keys: the engine that was made with it, and what is known of it."""

    def __init__(self, number: int, engine: InProcessEngine) -> None:
        self.number = number
        self.engine = engine
        self.breaker: Breaker = CLOSED
        self.reason = ""
        self.was_heard = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Key {self.number}: {'closed' if self.breaker.is_closed else self.reason}>"


class GuardedEngine:
    def __init__(self, name: str, engines: Sequence[InProcessEngine], watch: Watch) -> None:
        self.name = name
        self.keys = [Key(number, engine) for number, engine in enumerate(engines, 1)]
        self._watch = watch

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
        return self.keys[0].engine.models()

    def voices(self) -> tuple[VoiceInfo, ...]:
        return self.keys[0].engine.voices()

    async def health(self) -> Health:
        found = [await key.engine.health() for key in self.keys]
        return Health(
            sum(each.slots for each in found),
            sum(each.running for each in found),
            sum(each.waiting for each in found),
            sum(each.waiting_s for each in found),
        )

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        deadline = _now() + job.deadline_s
        tries = 0
        while True:
            key = self._choose()
            tries += 1
            left = msgspec.structs.replace(job, deadline_s=max(0.0, deadline - _now()))
            attempt = _Try(self, key, deadline)
            try:
                async with aclosing(attempt.events(left)) as events:
                    async for event in events:
                        yield event
                return
            except EngineError as error:
                delay_s = self._delay_s(error, attempt, tries, deadline - _now())
                if delay_s is None:
                    raise
                self._watch.retried(self.name, type(error).__name__)
                _log.info("engine.retry.started", engine=self.name, job=job.id, error=type(error).__name__)
            await asyncio.sleep(delay_s)

    def heard(self, key: Key, error: EngineError | None) -> None:
        """A provider was asked what it has, and this came of it."""
        key.was_heard.set()
        self.note(key, "well" if error is None else _outcome(error), error)

    def note(self, key: Key, outcome: breaker.Outcome, error: EngineError | None) -> None:
        """What one try, or a look at the provider's health, says of a key."""
        was_closed = key.breaker.is_closed
        key.breaker = breaker.after(key.breaker, outcome, _now())
        if error is not None:
            key.reason = f"{type(error).__name__}: {error.message}"
        if outcome == "refused" and error is not None:
            self._watch.alarmed(self.name, type(error).__name__)
            _log.error("engine.key.refused", engine=self.name, key=key.number, reason=key.reason)
        if key.breaker.is_closed != was_closed:
            self._watch.breaker(self.name, key.number, not key.breaker.is_closed)
            state = "closed" if key.breaker.is_closed else "opened"
            log = _log.info if key.breaker.is_closed else _log.warning
            log(f"engine.breaker.{state}", engine=self.name, key=key.number, reason=key.reason)

    def _choose(self) -> Key:
        """The first key that may be tried: others are there for when it may not."""
        now = _now()
        for key in self.keys:
            if breaker.may_try(key.breaker, now):
                return key
        soonest_s = min(breaker.opens_in_s(key.breaker, now) for key in self.keys)
        raise EngineUnavailable(f"{self.name} is resting: {self.reason}", retry_after_s=max(1.0, soonest_s))

    def _delay_s(self, error: EngineError, attempt: _Try, tries: int, left_s: float) -> float | None:
        if attempt.has_begun:
            return None
        if isinstance(error, _REFUSED):
            others = any(breaker.may_try(key.breaker, _now()) for key in self.keys)
            return 0.0 if others and left_s > 0 else None
        if not error.may_retry:
            return None
        return backoff.retry_delay_s(tries, error.retry_after_s, random.random(), left_s)


class _Try:
    """One try of one key, and what it says of it."""

    def __init__(self, owner: GuardedEngine, key: Key, deadline: float) -> None:
        self.has_begun = False
        self._owner = owner
        self._key = key
        self._deadline = deadline

    async def events(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        self._key.breaker = breaker.trying(self._key.breaker)
        is_told = False
        try:
            async with aclosing(self._key.engine.speak(job)) as events:
                async for event in events:
                    if not self.has_begun and isinstance(event, (Audio, Encoded)):
                        self.has_begun = is_told = True
                        self._owner.note(self._key, "well", None)
                    yield event
            if not is_told:
                is_told = True
                self._owner.note(self._key, "well", None)
        except EngineError as error:
            is_told = True
            self._owner.note(self._key, _outcome(error), error)
            raise
        finally:
            if not is_told:
                self._untold()

    def _untold(self) -> None:
        if _now() < self._deadline - _NEARLY_S:
            self._key.breaker = breaker.given_up(self._key.breaker)
        else:
            self._owner.note(self._key, "faulty", EngineTimeout("It gave no audio in time."))


def _outcome(error: EngineError) -> breaker.Outcome:
    if isinstance(error, _REFUSED):
        return "refused"
    return "faulty" if isinstance(error, _FAULTY) else "well"


def _now() -> float:
    return asyncio.get_running_loop().time()
