"""One key of a cloud engine: the engine made with this key, its slots, its pace, its breaker, its metrics."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from math import inf
from typing import Literal

import msgspec
import structlog

from policies import breaker, provider_waits
from policies.breaker import CLOSED, Breaker, Outcome
from proxy.access.windows import KeyState, KeyStates
from proxy.config.engines import DEFAULT_CREDENTIAL
from proxy.telemetry.metrics import EngineMetrics
from speech_engine import (
    Audio,
    Convert,
    Encoded,
    Engine,
    EngineCannot,
    EngineError,
    EngineExhausted,
    EngineFailed,
    EngineForbidden,
    EngineLimited,
    EngineStumbled,
    EngineTimeout,
    EngineUnauthorized,
    EngineUnavailable,
    Event,
    Hear,
    ProviderCount,
    Speak,
    Transcript,
    Work,
)
from speech_engine.host.engine_stream import OnDispatch
from speech_engine.host.messages import hello_of
from speech_engine.host.slot_turn import SlotTurn
from speech_engine.host.slots import Slots

REFUSED = (EngineUnauthorized, EngineExhausted)
"""The key is refused, and another key may be tried."""
_FAULTY = (EngineFailed, EngineForbidden, EngineStumbled, EngineTimeout)

_DEADLINE_MARGIN_S = 0.1
"""A try that is cancelled so shortly before its deadline was cancelled because of the deadline."""
_LEAST_SILENCE_S = 1.0
"""A provider with less time than this does not count as silent: the job waited in our own queue."""
_MOST_OWN_BREAKERS = 1000
"""The most accounts with a breaker of their own on one key: the last ones that saw faults."""

Result = EngineError | Literal["finished", "left"]
"""How a try ended. `left`: its client closed or cancelled it."""

_log = structlog.get_logger()


class KeyTurn(SlotTurn):
    """One try of a key: its turn in the slots, and its result so far.

    `probes_since` is the moment at which the breaker had opened, if the try is a probe; `own_probes_since` is
    that of the account's own breaker. While it `lacks_sound`, it waits for the sound of another engine. Its
    provider may be silent for `silent_s`.
    """

    has_slot = False
    probes_since: float | None = None
    own_probes_since: float | None = None
    dispatched_at: float | None = None
    silent_s = inf
    has_audio = False
    lacks_sound = False
    is_reported = False

    @property
    def is_probe(self) -> bool:
        return self.probes_since is not None or self.own_probes_since is not None

    @property
    def was_silent(self) -> bool:
        if self.dispatched_at is None or self.lacks_sound:
            return False
        by_deadline = max(self.deadline_at - _DEADLINE_MARGIN_S, self.dispatched_at + _LEAST_SILENCE_S)
        return _now() >= min(by_deadline, self.dispatched_at + self.silent_s)


class ProviderKey:
    """A key and its breaker. `first_answer` is set when the provider's first refresh has ended.

    `credential` is the label of the provider's account to which the key belongs. `wants_look` is set while
    the breaker is open or in doubt: a call of our own may end that. Each turn of `enter` needs one `leave`.
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
        self.on_models_changed: Callable[[], None] = lambda: None
        self.breaker: Breaker = CLOSED
        self.reason = ""
        self.refresh_reason = ""
        """Why the last refresh failed. One failure does not open the breaker, so `reason` may be empty."""
        self.news: tuple[bytes, float] | None = None
        """The breaker as JSON that other gateways do not have yet, and since when it is so."""
        self.first_answer = asyncio.Event()
        self.wants_look = asyncio.Event()
        self._own_breakers: OrderedDict[str, Breaker] = OrderedDict()
        self.spoke_at = -inf  # when the provider last answered well
        self._shared_spoke_at = -inf  # the same, as other gateways tell it
        self._owner = owner
        self.pace = pace
        self._metrics = metrics
        self.read_hello()

    def read_hello(self) -> None:
        """Read again which models and voices the engine has."""
        self.hello = hello_of(self.engine)
        self.on_models_changed()

    def may_try(self, account: str) -> bool:
        if not self.breaker.open_s and not self._own_breakers:
            return True
        breakers = self.breaker, self._own_breakers.get(account, CLOSED)
        return all(breaker.may_try(each, account, _now()) for each in breakers)

    def opens_in_s(self, account: str) -> float:
        breakers = self.breaker, self._own_breakers.get(account, CLOSED)
        return max(breaker.wait_s(each, _now()) for each in breakers)

    async def enter(self, work: Work, deadline: float, on_dispatch: OnDispatch) -> KeyTurn | None:
        """Take a slot, and wait for the pace in it. Raises EngineError like `Slots.enter`, or EngineLimited.

        If the breaker is half open, this try is a probe. Return None if another gateway has one of this
        account under way.
        """
        if not isinstance(work, (Speak, Convert, Hear)):
            return await self._enter_apart(work, deadline, on_dispatch)
        job = work.job
        turn = KeyTurn(job.tenant, deadline, job.estimated_s, job.share, urgency=job.urgency)
        turn.hears = isinstance(work, Hear)
        if self.breaker.open_s:
            turn.probes_since = self.breaker.since
            self.breaker = breaker.start_try(self.breaker, turn.tenant)
        own = self._own_breakers.get(turn.tenant)
        if own is not None and not own.is_closed:
            turn.own_probes_since = own.since
            self._set_own_breaker(turn.tenant, breaker.start_try(own, turn.tenant))
        try:
            states = self.pace.states
            if states and turn.is_probe and not await states.claim_probe(self.pace.name, turn.tenant):
                self.leave(turn, "left")
                return None
            if not self.slots.take_now(turn):
                await self.slots.take(turn)
            turn.has_slot = True
            await self.pace.wait_for_key(deadline - _now())
        except BaseException:
            self.leave(turn, "left")
            raise
        turn.dispatched_at = turn.sound.dispatched_at = _now()
        turn.silent_s = on_dispatch(True) or inf
        return turn

    async def _enter_apart(self, work: Work, deadline: float, on_dispatch: OnDispatch) -> KeyTurn:
        """Wait for the pace alone. The key learns nothing of work on a voice.

        One account's clones must not take the slots of all speech, and a key that may not clone can still
        speak. The features that send such work limit it.
        """
        turn = KeyTurn(work.tenant, deadline, work.estimated_s, work.share)
        await self.pace.wait_for_key(turn.left_s)
        on_dispatch(True)
        return turn

    def note(self, turn: KeyTurn, event: Event) -> None:
        if turn.has_slot:
            self.slots.note(turn, event)
        if isinstance(event, ProviderCount):
            turn.silent_s = inf
        if not turn.has_audio and isinstance(event, (Audio, Encoded, Transcript)):
            turn.has_audio = True
            if self.breaker == CLOSED and turn.tenant not in self._own_breakers:
                turn.is_reported, self.spoke_at = True, _now()
            else:
                self._report(turn, None)

    def leave(self, turn: KeyTurn, result: Result) -> None:
        """Give back the slot and tell the breaker the result.

        The breaker learns nothing from a try that stayed in our queue, from work on a voice, or from an end
        without audio, since some texts have nothing to speak.
        """
        if turn.has_slot:
            turn.has_finished = result == "finished"
            self.slots.leave(turn)
        if turn.dispatched_at is not None:
            if isinstance(result, EngineLimited):
                self.pace.pause(result.retry_after_s)
            if isinstance(result, EngineError):
                self._report(turn, result)  # a fault after audio counts too
            elif result == "left" and not turn.is_reported and turn.was_silent:
                hint = "" if turn.silent_s == inf else "; silent_s sets how long it may"
                silence_s = _now() - turn.dispatched_at
                self._report(turn, EngineTimeout(f"It sent nothing for {silence_s:.1f} s{hint}."))
        if turn.probes_since == self.breaker.since and not turn.is_reported:
            self.breaker = breaker.abandon_try(self.breaker, turn.tenant)
        own = self._own_breakers.get(turn.tenant)
        if own is not None and turn.own_probes_since == own.since:
            self._set_own_breaker(turn.tenant, breaker.abandon_try(own, turn.tenant))
        if self.pace.states is not None and turn.is_probe:
            self.pace.states.end_claim(self.pace.name, turn.tenant)

    def _report(self, turn: KeyTurn, error: EngineError | None) -> None:
        """Tell the breaker how the provider answered; None means audio. Some errors say nothing about it."""
        outcome = _outcome(error)
        turn.is_reported = outcome is not None
        if outcome is None:
            return
        now, before = _now(), self.breaker
        after = breaker.end_try(
            before,
            outcome,
            turn.tenant,
            now,
            is_probe=turn.probes_since == before.since,
            quiet_s=now - max(self.spoke_at, self._shared_spoke_at),
        )
        if outcome == "well":
            self.spoke_at = now
        self._set_breaker(after, error)
        if outcome != "refused":  # a refused key concerns all accounts
            own = self._own_breakers.pop(turn.tenant, CLOSED)
            is_probe = turn.own_probes_since == own.since
            own = breaker.end_try(own, outcome, breaker.OWN_CALL, now, is_probe=is_probe)
            if own != CLOSED:
                self._set_own_breaker(turn.tenant, own)

    def note_refresh(self, error: EngineError | None) -> None:
        """Note how a refresh ended; None means that the provider answered."""
        self.refresh_reason = "" if error is None else error.reason
        self.first_answer.set()
        outcome = _outcome(error)
        if outcome is not None:
            self._set_breaker(breaker.end_own_call(self.breaker, outcome, _now()), error)

    def adopt(self, state: KeyState, now: float) -> None:
        """Learn what the other gateways know of this key."""
        if state.pause_s:
            self.pace.paused_until = max(self.pace.paused_until, now + state.pause_s)
        if state.quiet_s:
            self._shared_spoke_at = now + state.quiet_s - breaker.QUIET_S
        if not state.news or self.news is not None:
            return
        try:
            found, reason = msgspec.json.decode(state.news, type=tuple[Breaker, str])
        except (ValueError, RecursionError):
            return  # another version wrote it
        since = now - state.age_s
        # If the provider has spoken here since then, only the other gateway cannot reach it.
        if not (self.breaker.is_closed if found.is_closed else self.spoke_at > since):
            self.reason = reason
            new = CLOSED if found.is_closed else msgspec.structs.replace(found, since=since)
            self._set_breaker(new, None, is_news=False)

    def _set_own_breaker(self, account: str, own: Breaker) -> None:
        self._own_breakers[account] = own
        self._own_breakers.move_to_end(account)
        if len(self._own_breakers) > _MOST_OWN_BREAKERS:
            self._own_breakers.popitem(last=False)

    def _set_breaker(self, new: Breaker, error: EngineError | None, *, is_news: bool = True) -> None:
        before, self.breaker = self.breaker, new
        if new == before:
            return
        if error is not None and not new.is_closed:
            self.reason = error.reason or type(error).__name__
        if isinstance(error, REFUSED) and new.since != before.since:
            self._metrics.count_alarm(self._owner, type(error).__name__)
            _log.error("engine.key.refused", engine=self._owner, key=self.number, reason=self.reason)
        if self.pace.states is not None and is_news and new.since != before.since:
            self.news = msgspec.json.encode((new, self.reason)), _now()
            self.pace.states.has_news.set()
        if new.is_closed and not new.is_doubtful:
            self.wants_look.clear()
        else:
            self.wants_look.set()
        if new.is_closed != before.is_closed:
            self._metrics.set_breaker(self._owner, self.number, before.is_closed)
            fields = {"engine": self._owner, "key": self.number, "reason": self.reason}
            if before.is_closed:
                _log.warning("engine.breaker.opened", **fields)
            else:
                _log.info("engine.breaker.closed", **fields)


def _outcome(error: EngineError | None) -> Outcome | None:
    """Return the provider's state after an error, or None. Most errors tell nothing about it: our own queue
    or pace was full, or a healthy provider refused this request."""
    if error is None:
        return "well"
    if isinstance(error, REFUSED) and not isinstance(error, EngineForbidden):
        return "refused"
    if isinstance(error, EngineUnavailable):
        return "unreached"
    return "faulty" if isinstance(error, _FAULTY) and not isinstance(error, EngineCannot) else None


_now = time.monotonic


_SHORTEST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
"""A provider may not ask for a longer pause: a wrong clock must not cost a day."""


class NoSharing:
    """The base type of what shares the states of keys with other gateways: it has none.
    `proxy/features/cluster/key_sharing.py` shares them by Redis."""

    def share_key(self, key: ProviderKey, engine: str, secret: str) -> None:
        """Share a key. It has the same name in all gateways with this engine, credential and secret."""

    @asynccontextmanager
    async def exchanging(self) -> AsyncIterator[None]:
        yield


class ProviderPace:
    """The pace of one key: `rpm` requests a minute, None for no limit. A provider may ask for a pause.

    An early job waits in its slot, so the provider has no reason to refuse it. With `states`, Redis counts
    the requests of all workers by `name`. While it is away, and without it, this worker has its part of them.
    """

    def __init__(self, rpm: int | None) -> None:
        self.states: KeyStates | None = None
        self.name = ""
        self.paused_until = 0.0
        self._rpm = rpm
        self._worker_rpm = rpm or 0
        # Without a limit there is nothing to remember.
        self._request_times: deque[float] = deque(maxlen=rpm or 0)

    def divide(self, workers: int) -> None:
        self._worker_rpm = max(1, (self._rpm or 0) // workers)

    def pause(self, provider_s: float | None) -> None:
        """Send nothing for the time that the provider names."""
        now = time.monotonic()
        pause_s = min(max(provider_s or 0.0, _SHORTEST_PAUSE_S), _LONGEST_PAUSE_S)
        self.paused_until = max(self.paused_until, now + pause_s)
        if self.states is not None:
            self.states.has_news.set()

    async def wait_for_key(self, within_s: float) -> None:
        """Wait until the key may be used. Raise EngineLimited if that is later than `within_s`."""
        now = time.monotonic()
        if self._rpm is None and now >= self.paused_until:
            return
        deadline = now + within_s
        while (wait_s := await self._wait_s(now)) > 0:
            if now + wait_s > deadline:
                raise EngineLimited("The provider allows no more requests in time.", retry_after_s=wait_s)
            await asyncio.sleep(wait_s)
            now = time.monotonic()
        self._request_times.append(now)

    async def _wait_s(self, now: float) -> float:
        """Return the wait. Where Redis counts requests, a wait of 0 means that it has counted this one."""
        paused_s = max(0.0, self.paused_until - now)
        if self._rpm is None:
            return paused_s
        if self.states is not None and not self.states.is_away:
            wait_s = paused_s or await self.states.count_key_request(self.name, self._rpm)
            if wait_s is not None:
                return wait_s
        return max(paused_s, provider_waits.pace_wait_s(self._request_times, self._worker_rpm, now))
