"""Runs the steps of jobs. Each step is spoken as a call without a listener. One commit has its sound and its
charge.

A kill before that commit costs nothing. After it, the next worker that gets the lease finds the sound. Two
workers cannot both commit: a step has one row of sound, so the second commit fails as a whole.
"""

from __future__ import annotations

import asyncio
import zlib
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
from proxy.features.jobs.core.remote_steps import RemoteStepLimiter, is_remote, not_in_condition
from proxy.features.jobs.core.settling import settle_uncancelled
from proxy.features.jobs.core.step_sound import ClipRow, collect_sound, framed_samples, silent_ends_ms
from proxy.features.jobs.core.taking import take_clip
from proxy.features.webhooks.delivery_tasks import DeliveryTasks
from proxy.file_store.vault import VaultFailed
from proxy.http.replies import encode_json
from proxy.queue.tasks import LEASE_CHECK_S, TRY_AGAIN, Delayed, Done, Result, TaskKind, event_or_timeout
from proxy.speech.answer import Answer
from proxy.speech.call import SpeechCall
from proxy.speech.part_check import NO_CHECK, PlanCheck
from proxy.speech.speaking import Speaking
from proxy.storage.rows import LAST_MOMENT
from proxy.storage.spoken_voices import voices_column
from proxy.storage.store import Condition, MissingReference, Params, Statement, StorageFailed, Store

RETRY_DELAY_S = 10.0
"""The delay before another try for an account without credits, a suspended account, or a busy engine."""
MOST_TRIES = 8
_CANCEL_WAIT_S = 5.0
"""How long the answer to a cancel waits for steps under way."""
_VOICE_MESSAGE = "Its voice cannot speak it."
"""The stored message of each failure that is about a voice, except that the voice was not found."""
_READER_TOO_SLOW = "client_too_slow"
"""The code of a failure in `collect_sound`: other processes have filled the disk that it needs."""
_NO_DISK_SPACE = "server_busy"
"""The code of an answer that the disk had no room for. The engine is not at fault."""
_MODEL_NOT_FOUND = "model_not_found"

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
        check: PlanCheck = NO_CHECK,
    ) -> None:
        super().__init__(store)
        self._kinds = kinds
        self._files = files
        self._notices = notices
        self._encoding = encoding
        self._reporter = reporter or SpeechReporter()
        self._check = check
        self._attempts_metric = Counter(
            "voxgate_job_steps",
            "Attempts at steps of jobs: `done`, `put off`, `failed`, `lost`.",
            ["result"],
            registry=registry,
        )
        self._waiting_metric = Gauge(
            "voxgate_job_steps_waiting", "Steps to do, of accounts that can pay.", registry=registry
        )
        self.remote_limiter = RemoteStepLimiter()
        self._speaking: Speaking
        self._callers: Callers
        self._runs_steps = self._serves = True
        # Accounts that are suspended or have no credits, and jobs. None of their steps is tried before the
        # moment, in the time of the store.
        self._postponed_accounts: dict[str, int] = {}
        self._postponed_jobs: dict[str, int] = {}

    def revise(
        self, speaking: Speaking, callers: Callers, *, runs_steps: bool = True, serves: bool = True
    ) -> None:
        """Set the newest revision of the configuration, before the first attempt and after each change. A
        process with `serves=False` is a worker without a port: it may lack a model that its servers have."""
        self._speaking, self._callers = speaking, callers
        self._runs_steps, self._serves = runs_steps, serves

    async def list_open(self, now: int) -> list[JobStep]:
        if not self._runs_steps:
            return []
        for postponed in (self._postponed_accounts, self._postponed_jobs):
            for id_ in [id_ for id_, until in postponed.items() if until <= now]:
                del postponed[id_]
        # The list is short, so steps that cannot begin now would hide others that can.
        limited_jobs = self.remote_limiter.limited_jobs(self.full_limits())
        can_begin = not_in_condition(
            {"account": self._postponed_accounts.keys(), "job": self._postponed_jobs.keys() | limited_jobs}
        )
        return await self.table.list_open(self._store, now, 2 * self.most_at_once, can_begin)

    async def turn(self) -> None:
        self._waiting_metric.set(await records.count_waiting(self._store))
        await super().turn()

    def look_now(self) -> None:
        super().look_now()
        if self._encoding is not None:
            self._encoding.look_now()

    async def wait_for_steps_of(self, job: str) -> None:
        """Wait until no step of a canceled job is under way, for `_CANCEL_WAIT_S` at most."""
        self.check_leases_now()
        with suppress(TimeoutError):
            async with asyncio.timeout(_CANCEL_WAIT_S):
                while True:
                    ended = self.ended
                    if not await records.list_under_way(self._store, [job]):
                        return
                    # `ended` is not set by a step in another worker, nor by one of a training.
                    await event_or_timeout(ended, LEASE_CHECK_S)

    def concurrency_limits(self, step: JobStep) -> Mapping[Hashable, int]:
        return self.remote_limiter.limits_of(step) or {
            "": self.most_at_once,
            step.account: records.STEPS_OF_ACCOUNT,
        }

    def is_last_try(self, step: JobStep) -> bool:
        return step.tries + 1 >= MOST_TRIES

    def commit_condition(self, step: JobStep) -> Condition:
        return records.step_condition(step)

    def after_attempt(self, step: JobStep, result: Result) -> None:
        state = result.values.get("state") if isinstance(result, Done) else None
        self._attempts_metric.labels("lost" if result is None else str(state or "put off")).inc()
        self._notices.look_now()
        if state is not None and self._encoding is not None:
            self._encoding.look_now()

    async def work(self, step: JobStep) -> Result:
        try:
            return await self._attempt(step)
        finally:
            self.remote_limiter.note_end(step)

    async def _attempt(self, step: JobStep) -> Result:
        job = await records.JOBS.get(self._store, None, step.job)
        if job is None or job.state != "open" or job.kind not in self._kinds:
            # The steps of a large job are canceled part by part after its end: this one comes later. Or the
            # feature of the kind is off here, and another server may have it.
            await self._postpone(self._postponed_jobs, step.job)
            return TRY_AGAIN
        is_done_with_clip = self._kinds[job.kind].is_done_with_clip
        if is_done_with_clip and await records.find_clip(self._store, step.id) is not None:
            return await self._end_as_done(step, job)
        if await self._kinds[job.kind].has_expired(job):
            return TRY_AGAIN
        attempt = StepAttempt(partial(self.has_lost, step))
        try:
            await self._make_and_commit(job, step, attempt)
        except (errors.QuotaExceeded, errors.AccountSuspended) as failure:
            return await self._wait_for_account(step, failure)
        except errors.RequestFailed as failure:
            return await self._after_failure(step, job, failure, attempt)
        except MissingReference:
            # The job was deleted meanwhile, or a consent was withdrawn: the next plan of the step reports it.
            return TRY_AGAIN
        except StorageFailed:
            # Another holder may have committed the sound first: then the step is done.
            if not is_done_with_clip or await records.find_clip(self._store, step.id) is None:
                raise
        # An erasure may have deleted the sound already: the step is done nevertheless.
        return await self._end_as_done(step, job, attempt.spoken)

    async def _wait_for_account(
        self, step: JobStep, failure: errors.QuotaExceeded | errors.AccountSuspended
    ) -> Delayed:
        await self._postpone(self._postponed_accounts, step.account)
        also: tuple[Statement, ...] = ()
        if isinstance(failure, errors.QuotaExceeded):
            also = ends.credit_wait_statements(step, await self._store.now(), self._notices)
        else:
            await records.write_wait_reason(self._store, step.job, "suspended")
        asyncio.get_running_loop().call_later(RETRY_DELAY_S, self.look_now)
        return Delayed(failure.message, RETRY_DELAY_S, is_try=False, also=also)

    async def _end_as_done(self, step: JobStep, job: Job, spoken: Sequence[Spoken] = ()) -> Done:
        also = ends.statements_after_step(
            step, self._kinds[job.kind].events, await self._store.now(), self._notices
        )
        return Done({"state": "done"}, (*also, *paces.pace_statements(spoken)))

    async def _after_failure(
        self, step: JobStep, job: Job, failure: errors.RequestFailed, attempt: StepAttempt
    ) -> Result:
        """Return the result of a failed attempt: the step is tried again later, or has failed. A busy or
        absent engine does not count as a try: a job may wait long while listeners are served. Nor does a full
        disk: the job goes on as soon as there is room."""
        is_of_engine = isinstance(failure, errors.UpstreamFailed) and attempt.has_reached_engine
        is_of_engine = is_of_engine and failure.code != _NO_DISK_SPACE
        # A failed decoding counts as a try, so that a harmful file is not read again for ever.
        is_try = is_of_engine or isinstance(failure, errors.DecodingFailed)
        may_succeed_later = failure.code != errors.WRONG_SPEECH and (
            failure.status >= 500
            or failure.status == 429
            or failure.code == _READER_TOO_SLOW
            or self._lacks_model(failure, job)
        )
        if not may_succeed_later or (is_try and self.is_last_try(step)):
            return await self._fail(step, job, failure)
        # The other steps of the job would fail in the same way, so the whole job waits. Lines of a batch may
        # have other voices.
        if self._kinds[job.kind].fails_as_one or not is_try:
            await self._postpone(self._postponed_jobs, step.job)
        message = self._stored_message(failure, job)
        if message != step.error:
            # It is logged once, since the engine may never come back.
            _log.warning("job.step.waits", job=step.job, step=step.number, code=failure.code)
            if isinstance(failure, errors.UpstreamFailed) or self._lacks_model(failure, job):
                await records.write_wait_reason(self._store, step.job, "engine")
        after_s = failure.retry_after_s or RETRY_DELAY_S
        if self._store.is_shared and not is_try and not attempt.has_reached_engine:
            after_s = 0.0  # another process may have the engine, or a free place in it
        return Delayed(message, after_s, is_try=is_try)

    async def _fail(self, step: JobStep, job: Job, failure: errors.RequestFailed) -> Done:
        """Return the end of a failed step. It ends the job as well, unless other lines of a batch go on."""
        _log.warning("job.step.failed", job=step.job, step=step.number, code=failure.code)
        kind, now = self._kinds[job.kind], await self._store.now()
        why = replace(failure.body().error, message=self._stored_message(failure, job))
        if kind.fails_as_one or isinstance(failure, errors.InvalidKey):
            also = ends.statements_after_failure(step, kind.events, now, why, self._notices)
        else:
            also = ends.statements_after_line(step, kind.events, now, self._notices)
        error = kind.stored_error(failure.status, why)
        values: Params = {"state": "failed", "due": LAST_MOMENT, "error": error}
        return Done(values, also)

    def _lacks_model(self, failure: errors.RequestFailed, job: Job) -> bool:
        """Tell whether the failure is that this process lacks a model which the servers have."""
        is_lacking = failure.code == _MODEL_NOT_FOUND and not self._serves
        return is_lacking and self._kinds[job.kind].is_checked_before

    def _stored_message(self, failure: errors.RequestFailed, job: Job) -> str:
        """Return the message of a failure to store. A message about a voice is replaced: it may contain the
        name of a person, which must not stay after an erasure."""
        if failure.code == "voice_not_found":
            return self._kinds[job.kind].voice_gone_message
        is_of_voice = (failure.param or "").startswith("voice")
        return _VOICE_MESSAGE if is_of_voice else failure.message

    async def _postpone(self, postponed: dict[str, int], id_: str) -> None:
        postponed[id_] = await self._store.now() + round(RETRY_DELAY_S * SECOND_US)

    async def _make_and_commit(self, job: Job, step: JobStep, attempt: StepAttempt) -> None:
        """Make a step under the present terms of its account, and commit its result with its charge. Raises
        RequestFailed, StorageFailed."""
        kind, speaking = self._kinds[job.kind], self._speaking
        caller = await self._callers.by_id(job.key)
        terms = step_terms(speaking.admission.terms(caller), is_checked=self._check.checks_jobs)
        try:
            if isinstance(kind, TextKind):
                await kind.write_step(job, step, caller, terms, attempt)
                return
            assert isinstance(kind, SpokenKind), "the steps of a kind are spoken or make text"
            planned = await kind.plan(job, step, speaking, caller, terms)
        except VaultFailed as failed:
            raise _vault_unavailable(job, failed) from None
        await self._speak(job, step, attempt, planned)

    async def _speak(self, job: Job, step: JobStep, attempt: StepAttempt, planned: PlannedStep) -> None:
        """Speak a step, and commit its sound with its charge. Raises RequestFailed, StorageFailed."""
        call = planned.call
        if planned.source_job and await self._take_clip(step, call, planned.source_job):
            return
        # The list grows while the step is spoken.
        attempt.engine_attempts = call.totals.attempts
        is_remote_step = is_remote(call.plan)
        self.remote_limiter.note_plan(step, is_remote=is_remote_step)
        if is_remote_step:
            self._wake.set()  # it takes no place of the local steps, so another one may begin
        row = ClipRow()
        openers = (*call.openers, row.opened)
        tag = call.request.tag or job.tag
        call = replace(call, job=job.id, step=step.id, goes_whole=True, openers=openers, tag=tag)

        async def write(answer: Answer) -> None:
            row.clip = await self._store_sound(job, step, answer, planned)
            # From here on, a cancellation waits: the commit is made, or fails as a whole.
            await settle_uncancelled(answer.settle)
            attempt.spoken = measure_spoken(call)

        def sent_share() -> float | None:
            """A step whose lease was lost counts as a client that left before any sound was sent."""
            return 0.0 if attempt.has_lost() else None

        await self._speaking.pipeline.answer(call, write, sent_share)

    async def _store_sound(self, job: Job, step: JobStep, answer: Answer, planned: PlannedStep) -> JobClip:
        """Store the sound of an answer and the report about it. Return their row, without the charge's
        figures."""
        call, sound = answer.call, await collect_sound(answer)
        form = call.request.form
        crc32, played = await asyncio.to_thread(
            lambda: (zlib.crc32(sound), framed_samples(sound, form.format))
        )
        head_ms, tail_ms = await asyncio.to_thread(silent_ends_ms, sound, call)
        digest = await self._put(job, sound)
        report = await self._reporter.report(answer, planned.first_character, sound)
        return JobClip(
            step=step.id,
            job=job.id,
            account=job.account,
            number=step.number,
            request=call.id,
            digest=digest,
            bytes=len(sound),
            samples=0,
            sample_rate_hz=0,
            voices=voices_column(call.plan.own_voices),
            told=await self._put(job, encode_json(report)),
            crc32=crc32,
            played=played,
            words=len(report.words or ()),
            head_ms=head_ms,
            tail_ms=tail_ms,
            source=call.form_by(answer.speech.engine).source,
            consent=planned.consent,
            fingerprint=await self._fingerprint(job, call) if self._kinds[job.kind].can_repeat else "",
        )

    async def _take_clip(self, step: JobStep, call: SpeechCall, source_job: str) -> bool:
        """Take over a clip of another job, if one has the same sound. Raises RequestFailed, StorageFailed."""
        await self._speaking.pipeline.prepare_texts(call)
        usable = await usable_fingerprints(self._files.vault, step.account, call)
        return await take_clip(self._store, step, source_job, usable)

    async def _fingerprint(self, job: Job, call: SpeechCall) -> str:
        if not all(run.texts for run in call.totals.parts):
            # The cache has answered, so no text was prepared for an engine.
            with suppress(errors.RequestFailed):
                await self._speaking.pipeline.prepare_texts(call)
        return await spoken_fingerprint(self._files.vault, job.account, call)

    async def _put(self, job: Job, data: bytes) -> str:
        try:
            return await self._files.put(job.account, data)
        except VaultFailed as failed:
            raise _vault_unavailable(job, failed) from None


def _vault_unavailable(job: Job, failed: VaultFailed) -> errors.VaultUnavailable:
    _log.error("job.vault.failed", job=job.id, reason=str(failed))
    return errors.VaultUnavailable()
