"""One key of a cloud engine: the engine made with this key, its breaker, its log lines and its metrics."""

from __future__ import annotations

import asyncio

import structlog

from policies import breaker
from policies.breaker import CLOSED, Breaker, Outcome
from proxy.engines.in_process import InProcessEngine
from proxy.telemetry import EngineMetrics
from speech_engine import (
    EngineBusy,
    EngineError,
    EngineExhausted,
    EngineFailed,
    EngineLimited,
    EngineStumbled,
    EngineTimeout,
    EngineUnauthorized,
    EngineUnavailable,
)

REFUSED = (EngineUnauthorized, EngineExhausted)
_FAULTY = (EngineFailed, EngineStumbled, EngineTimeout, EngineUnavailable)
_NO_WORD = (EngineBusy, EngineLimited)
"""Raised by our own queue and pace, or by a provider that is well but has enough to do."""

_log = structlog.get_logger()


class ProviderKey:
    """A key and its breaker. `first_answer` is set when the provider's first refresh has ended.

    `rests` is set while the breaker is open.
    """

    def __init__(self, owner: str, number: int, engine: InProcessEngine, metrics: EngineMetrics) -> None:
        self.number = number
        self.engine = engine
        self.breaker: Breaker = CLOSED
        self.reason = ""
        self.first_answer = asyncio.Event()
        self.rests = asyncio.Event()
        self._owner = owner
        self._metrics = metrics

    def __repr__(self) -> str:
        return f"<ProviderKey {self.number}: {'closed' if self.breaker.is_closed else self.reason}>"

    @property
    def may_try(self) -> bool:
        return breaker.may_try(self.breaker, _now())

    @property
    def opens_in_s(self) -> float:
        return breaker.wait_s(self.breaker, _now())

    def begin(self) -> bool:
        """Note that a try begins. Return whether this try is the probe of a half-open breaker."""
        self.breaker = breaker.start_try(self.breaker)
        return self.breaker.is_probing

    def give_up(self) -> None:
        """Note that the probe ended and said nothing about the provider."""
        self.breaker = breaker.abandon_try(self.breaker)

    def note_try(self, error: EngineError | None, *, is_probe: bool) -> bool:
        """Note how a try ended; None means audio. Return False if that says nothing about the provider."""
        outcome = _outcome(error)
        if outcome is not None:
            self._turn(breaker.end_try(self.breaker, outcome, _now(), is_probe=is_probe), error)
        return outcome is not None

    def note_refresh(self, error: EngineError | None) -> None:
        """Note how a refresh ended; None means that the provider answered."""
        self.first_answer.set()
        outcome = _outcome(error)
        if outcome is not None:
            self._turn(breaker.end_other_call(self.breaker, outcome, _now()), error)

    def _turn(self, turned: Breaker, error: EngineError | None) -> None:
        before, self.breaker = self.breaker, turned
        if turned == before:
            return
        if error is not None and not turned.is_closed:
            self.reason = error.message or type(error).__name__
        if turned.is_refused and error is not None:
            self._metrics.alarmed(self._owner, type(error).__name__)
            _log.error("engine.key.refused", engine=self._owner, key=self.number, reason=self.reason)
        if turned.is_closed != before.is_closed:
            self._opened_or_closed()

    def _opened_or_closed(self) -> None:
        is_open = not self.breaker.is_closed
        self._metrics.breaker(self._owner, self.number, is_open)
        fields = {"engine": self._owner, "key": self.number, "reason": self.reason}
        if is_open:
            self.rests.set()
            _log.warning("engine.breaker.opened", **fields)
        else:
            self.rests.clear()
            _log.info("engine.breaker.closed", **fields)


def _outcome(error: EngineError | None) -> Outcome | None:
    if isinstance(error, REFUSED):
        return "refused"
    if isinstance(error, _NO_WORD):
        return None
    return "faulty" if isinstance(error, _FAULTY) else "well"


def _now() -> float:
    return asyncio.get_running_loop().time()
