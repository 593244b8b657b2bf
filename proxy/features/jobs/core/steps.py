"""Runs the steps of jobs. Each step is spoken as a call without a listener. One commit has its sound and its
charge.

A kill before that commit costs nothing. After it, the next holder of the lease finds the sound. Two holders
cannot both commit: a step has one row of sound, so the second commit fails as a whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from functools import partial

import structlog
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, Counter, Gauge

from policies.tasks import SECOND_US
from proxy import errors
from proxy.access.callers import Callers
from proxy.api.speech_answers import SpeechReporter
from proxy.features.jobs.core import ends, paces, records
from proxy.features.jobs.core.encoding import FileSteps
from proxy.features.jobs.core.fields import step_terms
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.fingerprints import spoken_fingerprint, usable_fingerprints
from proxy.features.jobs.core.kind import PlannedStep, SpokenKind, StepAttempt, StepKind, TextKind
from proxy.features.jobs.core.paces import Spoken, measure_spoken
from proxy.features.jobs.core.records import STEPS, Job, JobClip, JobStep, Kind
from proxy.features.jobs.core.settling import settle_uncancelled, sound_facts
from proxy.features.jobs.core.step_limiter import StepLimiter, exclude_condition, is_remote
from proxy.features.jobs.core.taking import take_clip
from proxy.features.webhooks.delivery_tasks import DeliveryTasks
from proxy.file_store.vault import VaultFailed
from proxy.http.replies import encode_json
from proxy.ledger import Spent
from proxy.queue.tasks import LEASE_CHECK_S, Delayed, Done, Result, TaskKind, event_or_timeout
from proxy.speech.answer import Answer
from proxy.speech.call import SpeechCall
from proxy.speech.checked_parts import NO_CHECK, NoCheck
from proxy.speech.observer import Observer
from proxy.speech.speaking import Speaking
from proxy.storage.rows import LAST_MOMENT
from proxy.storage.spoken_voices import voices_column
from proxy.storage.store import Condition, MissingReference, Params, Statement, StorageFailed, Store

WAITS_S = 10.0
"""The delay before another try for an account without credits, a suspended account, or a busy engine."""
MOST_TRIES = 8
_SETTLES_S = 5.0
"""How long the answer to a cancel waits for steps under way."""
_VOICE_FAILED = "Its voice cannot speak it."
"""The stored message of any other failure of a voice, beside the code."""
_TOO_SLOW = "client_too_slow"
"""The code of a failure: the disk on which the sound of a step is collected is full, because of other
processes."""
_MODEL_NOT_FOUND = "model_not_found"
_NOTHING_MORE = Delayed(is_try=False)
"""The result of an attempt that does nothing more. If the job has ended, the commit of its end has ended the
step as well. Otherwise the next attempt plans the step again, and finds the fault."""

_log = structlog.get_logger()


class Steps(TaskKind[JobStep]):
    """The steps of jobs in one worker, spoken by the newest revision of the configuration."""

    name = "steps of jobs"
    table = STEPS
    may_outlive_worker = False
    is_for_workers = True
    releases_lease_when_cancelled = True

    def __init__(
        self,
        store: Store,
        kinds: Mapping[Kind, StepKind],
        files: JobFiles,
        registry: CollectorRegistry,
        notices: DeliveryTasks,
        encoding: FileSteps | None = None,
        reporter: SpeechReporter | None = None,
        check: NoCheck = NO_CHECK,
    ) -> None:
        super().__init__(store)
        self._check = check
        self._reporter = reporter or SpeechReporter()
        self._encoding = encoding
        self._notices = notices
        self._kinds = kinds
        self._files = files
        self._ended = Counter(
            "voxgate_job_steps",
            "Attempts at steps of jobs: `done`, `put off`, `failed`, `lost`.",
            ["result"],
            registry=registry,
        )
        self._waiting = Gauge(
            "voxgate_job_steps_waiting", "Steps to do, of accounts that can pay.", registry=registry
        )
        self.places = StepLimiter()
        self._speaking: tuple[Speaking, Callers] | None = None
        self._is_here = self._serves = True
        # The accounts that are suspended or have no credits, and the postponed jobs. Until these times, no
        # step of them is tried.
        self._short_accounts: dict[str, int] = {}
        self._resting_jobs: dict[str, int] = {}

    def revise(self, speaking: Speaking, callers: Callers, *, here: bool = True, serves: bool = True) -> None:
        """Speak with a new revision of the configuration from now on. If `here` is false, another process
        runs the steps. SQLite has no other process, so `here` is ignored there."""
        self._speaking = speaking, callers
        self._is_here = here or not (serves and self._store.is_shared)
        self._serves = serves

    async def list_open(self, now: int) -> list[JobStep]:
        if not self._is_here:
            return []
        for postponed in (self._short_accounts, self._resting_jobs):
            for id_ in [id_ for id_, until in postponed.items() if until <= now]:
                del postponed[id_]
        # Steps that wait for a place are left out: the list is short, and they would hide steps that can
        # begin.
        waiting_jobs = self.places.waiting_jobs(self.full_limits())
        condition = exclude_condition(
            account=self._short_accounts.keys(), job=self._resting_jobs.keys() | waiting_jobs
        )
        return await self.table.list_open(self._store, now, 2 * self.most_at_once, condition)

    async def turn(self) -> None:
        self._waiting.set(await records.count_waiting(self._store))
        await super().turn()

    def look_now(self) -> None:
        super().look_now()
        if self._encoding is not None:
            self._encoding.look_now()

    async def wait_for_steps_of(self, job: str) -> None:
        """Wait until no step of a canceled job is under way, for `_SETTLES_S` at most."""
        self.check_leases_now()
        with suppress(TimeoutError):
            async with asyncio.timeout(_SETTLES_S):
                while True:
                    ended = self.ended
                    if not await records.list_under_way(self._store, [job]):
                        return
                    # Another worker may have a step, and trainings are of another kind.
                    await event_or_timeout(ended, LEASE_CHECK_S)

    def concurrency_limits(self, task: JobStep) -> Mapping[Hashable, int]:
        return self.places.remote_places(task) or {
            "": self.most_at_once,
            task.account: records.STEPS_OF_ACCOUNT,
        }

    def is_last_try(self, task: JobStep) -> bool:
        return task.tries + 1 >= MOST_TRIES

    def commit_condition(self, step: JobStep) -> Condition:
        return records.step_condition(step)

    def after_attempt(self, step: JobStep, result: Result) -> None:
        state = result.values.get("state") if isinstance(result, Done) else None
        self._ended.labels("lost" if result is None else str(state or "put off")).inc()
        self._notices.look_now()
        if state is not None and self._encoding is not None:
            self._encoding.look_now()

    async def work(self, step: JobStep) -> Result:
        try:
            return await self._work(step)
        finally:
            self.places.leave(step)

    async def _work(self, step: JobStep) -> Result:
        job = await records.JOBS.get(self._store, None, step.job)
        if job is None or job.state != "open":
            # The steps of a large job are canceled part by part.
            await self._postpone(self._resting_jobs, step.job)
            return _NOTHING_MORE
        if job.kind not in self._kinds:
            # Its feature is off here. Another server may have it.
            await self._postpone(self._resting_jobs, step.job)
            return _NOTHING_MORE
        is_done_with_clip = self._kinds[job.kind].is_done_with_clip
        if is_done_with_clip and await records.find_clip(self._store, step.id) is not None:
            return await self._end_as_done(step, job)
        if await self._kinds[job.kind].has_expired(job):
            return _NOTHING_MORE
        attempt = StepAttempt(partial(self.has_lost, step))
        try:
            await self._carry_out(job, step, attempt)
        except (errors.QuotaExceeded, errors.AccountSuspended) as failure:
            return await self._wait_for_account(step, failure)
        except errors.RequestFailed as failure:
            return await self._after_failure(step, job, failure, attempt)
        except MissingReference:
            # The job was deleted meanwhile, or a consent was withdrawn: the next plan of the step reports it.
            return _NOTHING_MORE
        except StorageFailed:
            # Another holder may have committed the sound first: then the step is done.
            if not is_done_with_clip or await records.find_clip(self._store, step.id) is None:
                raise
        # An erasure may have deleted the sound already: the step is done nevertheless.
        return await self._end_as_done(step, job, attempt.spoken)

    async def _wait_for_account(
        self, step: JobStep, failure: errors.QuotaExceeded | errors.AccountSuspended
    ) -> Delayed:
        await self._postpone(self._short_accounts, step.account)
        also: tuple[Statement, ...] = ()
        if isinstance(failure, errors.QuotaExceeded):
            also = ends.credit_wait_statements(step, await self._store.now(), self._notices)
        else:
            await records.write_wait_reason(self._store, step.job, "suspended")
        asyncio.get_running_loop().call_later(WAITS_S, self.look_now)
        return Delayed(failure.message, WAITS_S, is_try=False, also=also)

    async def _end_as_done(self, step: JobStep, job: Job, spoken: Sequence[Spoken] = ()) -> Done:
        also = ends.statements_after_step(
            step, self._kinds[job.kind].events, await self._store.now(), self._notices
        )
        return Done({"state": "done"}, (*also, *paces.pace_statements(spoken)))

    async def _after_failure(
        self, step: JobStep, job: Job, failure: errors.RequestFailed, attempt: StepAttempt
    ) -> Result:
        """Return the result of a failed attempt. If another try may succeed, the step is tried again.
        Otherwise this ends the job, or of a batch only the line. A busy or absent engine does not count as a
        try: a job may wait long while listeners are served."""
        kind, message = self._kinds[job.kind], self._stored_message(failure, job)
        is_of_engine = isinstance(failure, errors.UpstreamFailed) and attempt.has_reached_engine
        # A failed decoding counts as a try, so that a harmful file is not read again for ever.
        is_try = is_of_engine or isinstance(failure, errors.DecodingFailed)
        is_lacking = failure.code == _MODEL_NOT_FOUND and not self._serves and kind.is_checked_before
        may_end_otherwise = failure.code != errors.WRONG_SPEECH and (
            failure.status >= 500 or failure.status == 429 or failure.code == _TOO_SLOW or is_lacking
        )
        if may_end_otherwise and not (is_try and self.is_last_try(step)):
            # The other steps of the job would fail in the same way, so the whole job waits. Lines of a batch
            # may have other voices.
            if kind.fails_as_one or not is_try:
                await self._postpone(self._resting_jobs, step.job)
            after_s = failure.retry_after_s or WAITS_S
            if message != step.error:
                # It is logged once, since the engine may never come back.
                _log.warning("job.step.waits", job=step.job, step=step.number, code=failure.code)
                if isinstance(failure, errors.UpstreamFailed) or is_lacking:
                    await records.write_wait_reason(self._store, step.job, "engine")
            if self._store.is_shared and not is_try and not attempt.has_reached_engine:
                after_s = 0.0  # another process may have the engine, or a free place in it
            return Delayed(message, after_s, is_try=is_try)
        _log.warning("job.step.failed", job=step.job, step=step.number, code=failure.code)
        now, why = await self._store.now(), replace(failure.body().error, message=message)
        if kind.fails_as_one or isinstance(failure, errors.InvalidKey):
            also = ends.statements_after_failure(step, kind.events, now, why, self._notices)
        else:
            also = ends.statements_after_line(step, kind.events, now, self._notices)
        error = kind.stored_error(failure.status, why)
        values: Params = {"state": "failed", "due": LAST_MOMENT, "error": error}
        return Done(values, also)

    def _stored_message(self, failure: errors.RequestFailed, job: Job) -> str:
        """Return the message of a failure to store. A message about a voice is replaced: it may have the name
        of a person, which must not stay after an erasure."""
        if failure.code == "voice_not_found":
            return self._kinds[job.kind].voice_gone_message
        is_of_voice = (failure.param or "").startswith("voice")
        return _VOICE_FAILED if is_of_voice else failure.message

    async def _postpone(self, postponed: dict[str, int], id_: str) -> None:
        postponed[id_] = await self._store.now() + round(WAITS_S * SECOND_US)

    async def _carry_out(self, job: Job, step: JobStep, attempt: StepAttempt) -> None:
        """Make a step under the present terms of its account, and commit its result with its charge. Raises
        RequestFailed, StorageFailed."""
        kind, (speaking, callers) = self._kinds[job.kind], self._newest
        caller = await callers.by_id(job.key)
        terms = step_terms(speaking.admission.terms(caller), is_checked=self._check.checks_jobs)
        try:
            if isinstance(kind, TextKind):
                await kind.write_step(job, step, caller, terms, attempt)
                return
            assert isinstance(kind, SpokenKind), "the steps of a kind are spoken or make text"
            planned = await kind.plan(job, step, speaking, caller, terms)
        except VaultFailed as failed:
            raise _no_vault(job, failed) from None
        await self._speak(job, step, attempt, planned)

    async def _speak(self, job: Job, step: JobStep, attempt: StepAttempt, planned: PlannedStep) -> None:
        """Speak a step, and commit its sound with its charge. Raises RequestFailed, StorageFailed."""
        call, tags, consent, source = planned
        can_repeat = self._kinds[job.kind].can_repeat
        if source and await self._take_clip(step, call, source):
            return
        attempt.engine_attempts = call.totals.attempts
        if self.places.note_plan(step, is_remote=is_remote(call.plan)):
            self._wake.set()
        clip = _Clip(job, step, call, consent)
        openers = (*call.openers, clip.opened)
        tag = call.request.tag or job.tag
        call = replace(call, job=job.id, step=step.id, goes_whole=True, openers=openers, tag=tag)

        async def write(answer: Answer) -> None:
            size = await answer.collect()
            sound = bytearray()
            with answer.reading():
                while (data := await answer.next_chunk()) is not None:
                    sound += data
            sound += answer.last_bytes()
            assert len(sound) == size, "a whole answer has the size that `collect` returned"
            clip.crc32, clip.played = await asyncio.to_thread(
                sound_facts, bytes(sound), call.request.form.format
            )
            clip.source = call.form_by(answer.speech.engine).source
            clip.digest, clip.bytes = await self._put(job, bytes(sound)), size
            report = await self._reporter.report(answer, tags, bytes(sound))
            clip.told, clip.words = await self._put(job, encode_json(report)), len(report.words or ())
            if can_repeat:
                clip.fingerprint = await self._fingerprint(job, call)
            # From here on, a cancellation waits: the commit is made, or fails as a whole.
            await settle_uncancelled(answer.settle)
            attempt.spoken = measure_spoken(call)

        pipeline = self._newest[0].pipeline
        await pipeline.answer(call, write, lambda: 0.0 if attempt.has_lost() else None)

    async def _take_clip(self, step: JobStep, call: SpeechCall, source: str) -> bool:
        """Take over a clip of another job, if one has the same sound. Raises RequestFailed, StorageFailed."""
        await self._newest[0].pipeline.prepare_texts(call)
        usable = await usable_fingerprints(self._files.vault, step.account, call)
        return await take_clip(self._store, step, source, usable)

    async def _fingerprint(self, job: Job, call: SpeechCall) -> str:
        if not all(run.texts for run in call.totals.parts):
            # It was answered from the cache.
            with suppress(errors.RequestFailed):
                await self._newest[0].pipeline.prepare_texts(call)
        return await spoken_fingerprint(self._files.vault, job.account, call)

    async def _put(self, job: Job, data: bytes) -> str:
        try:
            return await self._files.put(job.account, data)
        except VaultFailed as failed:
            raise _no_vault(job, failed) from None

    @property
    def _newest(self) -> tuple[Speaking, Callers]:
        assert self._speaking is not None, "it is revised before it works"
        return self._speaking


class _Clip(Observer):
    """Adds the row of a step's sound to the commit of its charge. See `JobClip` for its attributes."""

    def __init__(self, job: Job, step: JobStep, call: SpeechCall, consent: str | None) -> None:
        self.digest = ""
        self.told = ""
        self.bytes = 0
        self.crc32 = 0
        self.played: int | None = None
        self.words = 0
        self.source = ""
        self.fingerprint = ""
        self._job = job
        self._step = step
        self._call = call
        self._consent = consent

    def opened(self, _call: SpeechCall) -> Observer:
        return self

    def settle(self, spent: Spent) -> Spent:
        row = JobClip(
            step=self._step.id,
            job=self._job.id,
            account=self._job.account,
            number=self._step.number,
            request=self._call.id,
            digest=self.digest,
            bytes=self.bytes,
            samples=spent.samples,
            sample_rate_hz=spent.sample_rate_hz,
            voices=voices_column(self._call.plan.own_voices),
            told=self.told,
            crc32=self.crc32,
            played=spent.samples if self.played is None else self.played,
            words=self.words,
            source=self.source,
            consent=self._consent,
            fingerprint=self.fingerprint,
        )
        return replace(spent, rows=(*spent.rows, row))


def _no_vault(job: Job, failed: VaultFailed) -> errors.VaultUnavailable:
    _log.error("job.vault.failed", job=job.id, reason=str(failed))
    return errors.VaultUnavailable()
