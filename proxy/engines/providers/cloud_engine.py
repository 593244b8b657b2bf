"""A cloud engine: its keys, each behind a breaker, and a safe second try.

A try is repeated only before any audio has left us, only if the provider certainly did nothing, and only
within the job's deadline. Other failures go to the next candidate.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Collection, Sequence
from math import inf

import structlog

from policies import provider_waits
from proxy.engines.hosts.local_samples import LocalSamples, find_model
from proxy.engines.hosts.sample_source import NO_SOURCE
from proxy.engines.providers.provider_key import REFUSED, KeyTurn, ProviderKey, Result
from proxy.telemetry.metrics import EngineMetrics
from speech_engine import (
    Convert,
    EngineError,
    EngineUnavailable,
    EngineVoice,
    Event,
    Finished,
    Hear,
    Mix,
    ModelInfo,
    Samples,
    Speak,
    SpeechJob,
    VoiceInfo,
    VoiceNotFound,
    Work,
)
from speech_engine.host.engine_stream import (
    EngineStream,
    OnDispatch,
    end_events,
    events_of,
    failure_of,
    ignore_dispatch,
    run_to_end,
)
from speech_engine.host.messages import HealthReport
from speech_engine.pcm import RepeatablePcm
from speech_engine.work import job_with_samples, with_deadline

_log = structlog.get_logger()
_now = time.monotonic


class CloudEngine:
    """A cloud engine in this process. If it could not be created, `keys` is empty, and `failure` has the
    reason."""

    def __init__(
        self,
        name: str,
        keys: Sequence[ProviderKey],
        metrics: EngineMetrics,
        failure: str = "",
        samples: LocalSamples | None = None,
        silent_s: float | None = None,
    ) -> None:
        self.name = name
        self.silent_s = silent_s
        """How long the operator lets the provider be silent. Without it, its last first bytes decide."""
        self.first_bytes_s: deque[float] = deque(maxlen=64)
        self.keys = keys
        self.uses: set[tuple[str, str]] = set()
        """The clones that have spoken since the set was last emptied, as (credential, voice id)."""
        self.losses: set[tuple[str, str]] = set()
        """The clones that the provider turned out to lack since then, in the same form."""
        self.on_loss: Callable[[], None] = lambda: None
        self.on_models_changed: Callable[[], None] = lambda: None
        """Called when a key's engine has other models or voices."""
        # The lambda reads the attribute late, because the list of engines sets it afterwards.
        for key in keys:
            key.on_models_changed = lambda: self.on_models_changed()
        self._metrics = metrics
        self._failure = failure
        self._samples = samples or LocalSamples(NO_SOURCE)

    @property
    def state(self) -> str:
        """`resting` while no key may be used; then the next candidate speaks."""
        if not self.keys:
            return "failed"
        return "ready" if any(key.breaker.is_closed for key in self.keys) else "resting"

    @property
    def reason(self) -> str:
        return self._failure or "; ".join(
            f"{self._label_of(key)}{key.reason}" for key in self.keys if not key.breaker.is_closed
        )

    def _label_of(self, key: ProviderKey) -> str:
        if len(self.keys) == 1:
            return ""
        return f"key {key.number}{f' of {key.credential}' if len(self.credentials) > 1 else ''}: "

    @property
    def slots(self) -> int:
        return sum(key.slots.count for key in self.keys)

    @property
    def has_line(self) -> bool:
        return any(key.slots.waiting for key in self.keys)

    def models(self) -> tuple[ModelInfo, ...]:
        """Return the models of the first key that knows any. A refused key knows none."""
        return next((key.hello.models for key in self.keys if key.hello.models), ())

    def voices(self) -> tuple[VoiceInfo, ...]:
        return next((key.hello.voices for key in self.keys if key.hello.voices), ())

    @property
    def unlisted_voices(self) -> tuple[str, ...] | None:
        # They are of the same key as `voices`.
        return next((key.hello.unlisted_voices for key in self.keys if key.hello.voices), None)

    @property
    def tries_unknown_voices(self) -> bool:
        return any(key.hello.tries_unknown_voices for key in self.keys)

    async def health(self) -> HealthReport:
        found = [key.slots.health() for key in self.keys]
        return HealthReport(
            sum(each.slots for each in found),
            sum(each.running for each in found),
            sum(each.waiting for each in found),
            sum(each.waiting_s for each in found),
        )

    def open(
        self,
        work: Work,
        on_dispatch: OnDispatch = ignore_dispatch,
        pcm: AsyncIterable[bytes] | None = None,
    ) -> EngineStream:
        if (job := job_with_samples(work)) is None:
            return CloudStream(self, work, on_dispatch, pcm)
        info = find_model(self.models(), job.model)
        return self._samples.open(work, job, info, lambda ready: CloudStream(self, ready, on_dispatch, pcm))

    async def drop_samples(self, digests: Collection[str]) -> None:
        await self._samples.drop(digests)

    @property
    def credentials(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(key.credential for key in self.keys))

    def choose(self, credential: str, tenant: str, passed_over: Collection[ProviderKey] = ()) -> ProviderKey:
        """Return the first key whose breaker allows a try, and that is not in `passed_over`. Raises
        EngineUnavailable if there is none.

        A voice that belongs to one of the provider's accounts (`credential`) is unknown to the others, so
        work with such a voice uses only the keys of that account, even while all of them rest.
        """
        keys = self._keys_of(credential) if credential else self.keys
        for key in keys:
            if key not in passed_over and key.may_try(tenant):
                return key
        if not self.keys:
            raise EngineUnavailable(f"{self.name} is down: {self.reason}")
        if not keys:
            raise EngineUnavailable(f"{self.name} has no credential called {credential} any more.")
        soonest_s = min(key.opens_in_s(tenant) for key in keys)
        reason = self.reason or "it has failed for this account again and again"
        raise EngineUnavailable(f"{self.name} is resting: {reason}", retry_after_s=max(1.0, soonest_s))

    def most_silence_s(self, job: SpeechJob, race_s: float, model_s: float) -> float:
        """Return how long the provider may be silent: `race_s`, or by its last first bytes if that is 0, and
        `model_s` at least, unless the operator has set a time. It begins behind recordings that are sent."""
        if job.urgency == "idle":
            race_s = provider_waits.UNHEARD_SILENT_S
        sent_s = 0.0 if job.segments else job.estimated_s
        if isinstance(job.voice, Samples):
            sent_s += sum(each.seconds for each in job.voice.samples)
        race_s = race_s or provider_waits.silent_s(self.first_bytes_s, job.estimated_s)
        most_s = self.silent_s or max(race_s, model_s)
        return most_s + provider_waits.hearing_s(sent_s) if sent_s else most_s

    def check_available(self, work: Work) -> None:
        """Raise EngineUnavailable if no key may be tried for this work now."""
        self.choose(work.credential, work.tenant)

    def _keys_of(self, credential: str) -> Sequence[ProviderKey]:
        if not credential:
            return self.keys
        return [key for key in self.keys if key.credential == credential]

    def retry_delay_s(
        self,
        error: EngineError,
        tries: int,
        left_s: float,
        work: Work,
        passed_over: Collection[ProviderKey] = (),
    ) -> float | None:
        """Return how long to wait before the next try, or None if there is none."""
        if isinstance(error, REFUSED):
            keys = [key for key in self._keys_of(work.credential) if key not in passed_over]
            return 0.0 if left_s > 0 and any(key.may_try(work.tenant) for key in keys) else None
        if not error.may_retry:
            return None
        return provider_waits.retry_delay_s(tries, error.retry_after_s, random.random(), left_s)

    def note_use(self, work: Work) -> None:
        """Note that the clones of a job have spoken: some providers delete unused clones."""
        if isinstance(work, (Speak, Convert)):
            voice = work.job.voice
            parts = [part for part, _ in voice.parts] if isinstance(voice, Mix) else [voice]
            self.uses.update((work.credential, part.id) for part in parts if isinstance(part, EngineVoice))

    def note_loss(self, work: Work) -> None:
        """Note that the provider does not have the clone of a job. For a mix, the provider does not say which
        one."""
        if isinstance(work, (Speak, Convert)) and isinstance(voice := work.job.voice, EngineVoice):
            self.losses.add((work.credential, voice.id))
            self.on_loss()

    def note_retry(self, work: Work, error: EngineError) -> None:
        self._metrics.count_retry(self.name, type(error).__name__)
        _log.info("engine.retry.started", engine=self.name, job=work.id, error=type(error).__name__)


class AwaitedSound:
    """The sound of another engine, which a provider converts. `is_awaited` is true while the provider waits
    for more of it, also after that wait was cancelled. `on_end` is called when the provider has all of it."""

    def __init__(self, pcm: AsyncIterable[bytes], on_end: Callable[[], None]) -> None:
        self.is_awaited = False
        self._on_end = on_end
        self._pieces = aiter(pcm)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        self.is_awaited = True
        piece = await anext(self._pieces, None)
        self.is_awaited = False
        if piece is None:
            self._on_end()
            raise StopAsyncIteration
        return piece


class CloudStream:
    """Work for a cloud engine: it chooses a key, tries, and tries again where that is safe."""

    def __init__(
        self, engine: CloudEngine, work: Work, on_dispatch: OnDispatch, pcm: AsyncIterable[bytes] | None
    ) -> None:
        self._engine = engine
        self._work = work
        # The properties of work read these fields from its job. Reading the job directly saves three calls.
        job = work.job if isinstance(work, (Speak, Convert, Hear)) else work
        self._credential, self._tenant = job.credential, job.tenant
        self._on_dispatch = on_dispatch
        # A recording is complete. Other sound is still being made, and can be read only once.
        is_whole = pcm is None or isinstance(pcm, RepeatablePcm)
        self._sound = None if pcm is None or is_whole else AwaitedSound(pcm, self._end_sound)
        self._pcm = self._sound or pcm
        self._deadline = _now() + job.deadline_s
        self._tries = 0
        self._refused_by: tuple[ProviderKey, ...] = ()
        self._key: ProviderKey | None = None
        self._turn: KeyTurn | None = None
        self._events: AsyncGenerator[Event, None] | None = None
        self._is_over = False

    async def next_event(self) -> Event | None:
        if self._is_over:
            return None
        while True:
            try:
                if self._key is None or self._turn is None or self._events is None:
                    self._key, self._turn, self._events = await self._try()
                event = await anext(self._events)
                if isinstance(event, Finished):
                    await end_events(self._events, self._work, _log)
            except BaseException as raised:
                error = raised if self._turn is None else failure_of(raised, self._work, _log)
                if not isinstance(error, EngineError):
                    self._leave("left")
                    raise
                has_audio = self._turn is not None and self._turn.has_audio
                # The key must see the error first: a key that refused this work is not chosen again.
                self._leave(error)
                delay_s = None if has_audio else self._delay_s(error)
                if delay_s is None:
                    raise error from None
                # The work waits again, and nothing is billed.
                self._on_dispatch(False)
                self._engine.note_retry(self._work, error)
            else:
                if isinstance(event, Finished):
                    self._leave("finished")
                else:
                    self._key.note(self._turn, event)
                return event
            # No slot is held during this wait. If it is cancelled, the stream stays over.
            await asyncio.sleep(delay_s)
            self._is_over = False

    async def close(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        try:
            if self._events is not None:
                await run_to_end(end_events(self._events, self._work, _log))
        finally:
            self._leave("left")

    async def _try(self) -> tuple[ProviderKey, KeyTurn, AsyncGenerator[Event, None]]:
        passed_over = self._refused_by
        key = self._engine.choose(self._credential, self._tenant, passed_over)
        self._tries += 1
        while (turn := await key.enter(self._work, self._deadline, self._on_dispatch)) is None:
            # Another gateway probes this key.
            passed_over += (key,)
            key = self._engine.choose(self._credential, self._tenant, passed_over)
        # A plugin may fail at once, and gives its slot back then.
        self._key, self._turn = key, turn
        # The wait for the slot has used a part of the deadline.
        return key, turn, events_of(key.engine, with_deadline(self._work, turn.left_s), self._pcm)

    def _end_sound(self) -> None:
        if self._turn is not None:
            self._turn.dispatched_at, self._turn.silent_s = _now(), self._on_dispatch(True) or inf

    def _delay_s(self, error: EngineError) -> float | None:
        # A second clone could leave an unknown voice behind, and sound that is still being made can be read
        # only once.
        may_repeat = isinstance(self._work, Speak) or isinstance(self._pcm, RepeatablePcm)
        if not may_repeat:
            return None
        left_s = self._deadline - _now()
        return self._engine.retry_delay_s(error, self._tries, left_s, self._work, self._refused_by)

    def _leave(self, result: Result) -> None:
        self._is_over = True
        key, turn = self._key, self._turn
        self._key = self._turn = self._events = None
        if key is not None and turn is not None:
            turn.lacks_sound = self._sound is not None and self._sound.is_awaited
            key.leave(turn, result)
            if isinstance(result, REFUSED):
                self._refused_by += (key,)
        # A stream that was left after its first sound has used the clone, too.
        has_spoken = result == "finished" or (turn is not None and turn.has_audio)
        if has_spoken and self._credential:
            self._engine.note_use(self._work)
        if isinstance(result, VoiceNotFound) and self._credential:
            self._engine.note_loss(self._work)
