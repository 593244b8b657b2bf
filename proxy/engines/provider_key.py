"""One key of a cloud engine: the engine made with this key, its slots, its pace, its breaker, its metrics."""

from __future__ import annotations

import asyncio
import time
from typing import Literal

import structlog

from policies import breaker
from policies.breaker import CLOSED, Breaker, Outcome
from proxy.config.engines import DEFAULT_CREDENTIAL
from proxy.engines.provider_pace import ProviderPace
from proxy.telemetry.metrics import EngineMetrics
from speech_engine import (
    Audio,
    Encoded,
    Engine,
    EngineBusy,
    EngineError,
    EngineExhausted,
    EngineFailed,
    EngineLimited,
    EngineStumbled,
    EngineTimeout,
    EngineUnauthorized,
    EngineUnavailable,
    Event,
    Work,
)
from speech_engine.host.engine_stream import OnDispatch
from speech_engine.host.messages import introduction
from speech_engine.host.slot_turn import SlotTurn
from speech_engine.host.slots import Slots
from speech_engine.work import job_of

REFUSED = (EngineUnauthorized, EngineExhausted)
_FAULTY = (EngineFailed, EngineStumbled, EngineTimeout, EngineUnavailable)
_SAYS_NOTHING = (EngineBusy, EngineLimited)
"""Raised by our own queue and pace, or by a provider that is well but has enough to do."""

_NEARLY_S = 0.1
"""A try that is cancelled so shortly before its deadline was cancelled because of the deadline."""
_SILENCE_S = 1.0
"""A provider that had less time than this is not called silent: the job spent the rest in our own queue."""

Result = EngineError | Literal["finished", "left"]
"""How a try ended. `left`: its client closed or cancelled it."""

_log = structlog.get_logger()


class KeyTurn:
    """One try of a key: the slot that it holds, and what the key knows of it."""

    def __init__(self, deadline: float, *, is_probe: bool) -> None:
        self.slot: SlotTurn | None = None
        self.dispatched_at: float | None = None
        self.has_audio = False
        self._deadline = deadline
        self.is_probe = is_probe
        self.is_reported = False

    def __repr__(self) -> str:
        return f"<KeyTurn {'with' if self.has_audio else 'without'} audio>"

    @property
    def left_s(self) -> float:
        return max(0.0, self._deadline - _now())

    @property
    def was_silent(self) -> bool:
        return self.dispatched_at is not None and _now() >= max(
            self._deadline - _NEARLY_S, self.dispatched_at + _SILENCE_S
        )


class ProviderKey:
    """A key and its breaker. `first_answer` is set when the provider's first refresh has ended.

    `credential` is the label of the provider's account to which the key belongs. `rests` is set while the
    breaker is open. Each `enter` that returns needs one `leave`.
    """

    def __init__(
        self,
        owner: str,
        number: int,
        engine: Engine,
        slots: Slots,
        pace: ProviderPace,
        metrics: EngineMetrics,
        credential: str = DEFAULT_CREDENTIAL,
    ) -> None:
        self.number = number
        self.credential = credential
        self.engine = engine
        self.slots = slots
        self.revision = 0
        self.breaker: Breaker = CLOSED
        self.reason = ""
        self.first_answer = asyncio.Event()
        self.rests = asyncio.Event()
        self._owner = owner
        self._pace = pace
        self._metrics = metrics
        self.introduce()

    def __repr__(self) -> str:
        return f"<ProviderKey {self.number}: {'closed' if self.breaker.is_closed else self.reason}>"

    def introduce(self) -> None:
        """Read again which models and voices the engine has."""
        self.welcome = introduction(self.engine)
        self.revision += 1

    @property
    def may_try(self) -> bool:
        return breaker.may_try(self.breaker, _now())

    @property
    def opens_in_s(self) -> float:
        return breaker.wait_s(self.breaker, _now())

    async def enter(self, work: Work, deadline: float, on_dispatch: OnDispatch) -> KeyTurn:
        """Take a slot, and wait for the pace in it. Raises EngineError like `Slots.enter`, or EngineLimited.

        If the breaker is half open, this try is its probe.
        """
        if not work.has_listener:
            return await self._enter_apart(deadline, on_dispatch)
        self.breaker = breaker.start_try(self.breaker)
        turn = KeyTurn(deadline, is_probe=self.breaker.is_probing)
        try:
            turn.slot = await self.slots.enter(
                work.tenant, turn.left_s, work.estimated_s, work.share, job=job_of(work)
            )
            await self._pace.turn(turn.left_s)
        except BaseException:
            self.leave(turn, "left")
            raise
        turn.dispatched_at = _now()
        on_dispatch(True)
        return turn

    async def _enter_apart(self, deadline: float, on_dispatch: OnDispatch) -> KeyTurn:
        """Wait for the pace alone. The key learns nothing of work on a voice.

        Somebody's clones must not take the slots of everybody's speech, and a key that may not clone may
        speak all the same. Who sends this work limits it.
        """
        turn = KeyTurn(deadline, is_probe=False)
        await self._pace.turn(turn.left_s)
        on_dispatch(True)
        return turn

    def note(self, turn: KeyTurn, event: Event) -> None:
        """Count what came out. The first audio says at once that the provider is well."""
        if turn.slot is not None:
            self.slots.note(turn.slot, event)
        if not turn.has_audio and isinstance(event, (Audio, Encoded)):
            turn.has_audio = True
            self._report(turn, None)

    def leave(self, turn: KeyTurn, result: Result) -> None:
        """Give back the slot and tell the breaker the result.

        A try that stayed in our queue says nothing, nor does work on a voice.
        """
        if turn.slot is not None:
            self.slots.leave(turn.slot)
        if turn.dispatched_at is not None:
            if isinstance(result, EngineLimited):
                self._pace.pause(result.retry_after_s)
            if isinstance(result, EngineError):
                self._report(turn, result)  # a fault after audio is told too
            elif result == "finished" and not turn.is_reported:
                self._report(turn, None)
            elif result == "left" and not turn.is_reported and turn.was_silent:
                self._report(turn, EngineTimeout("It gave no audio in time."))
        if turn.is_probe and not turn.is_reported:
            self.breaker = breaker.abandon_try(self.breaker)

    def _report(self, turn: KeyTurn, error: EngineError | None) -> None:
        """Tell the breaker how the provider answered; None means audio. Some errors say nothing about it."""
        outcome = _outcome(error)
        turn.is_reported = outcome is not None
        if outcome is not None:
            self._set_breaker(breaker.end_try(self.breaker, outcome, _now(), is_probe=turn.is_probe), error)

    def note_refresh(self, error: EngineError | None) -> None:
        """Note how a refresh ended; None means that the provider answered."""
        self.first_answer.set()
        outcome = _outcome(error)
        if outcome is not None:
            self._set_breaker(breaker.end_other_call(self.breaker, outcome, _now()), error)

    def _set_breaker(self, new: Breaker, error: EngineError | None) -> None:
        before, self.breaker = self.breaker, new
        if new == before:
            return
        if error is not None and not new.is_closed:
            self.reason = error.reason or type(error).__name__
        if new.is_refused and error is not None:
            self._metrics.alarmed(self._owner, type(error).__name__)
            _log.error("engine.key.refused", engine=self._owner, key=self.number, reason=self.reason)
        if new.is_closed != before.is_closed:
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
    if isinstance(error, _SAYS_NOTHING):
        return None
    return "faulty" if isinstance(error, _FAULTY) else "well"


_now = time.monotonic
"""The clock of every event loop. To ask the running loop costs a question to the kernel."""
