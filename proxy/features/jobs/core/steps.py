"""The steps of jobs. Each is spoken as a call without a listener; its sound and its charge are one commit.

A kill before that commit costs nothing, and after it the next holder finds the sound. A holder that has lost
its lease may still commit: a step has one row of sound, so the second commit fails as a whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from functools import partial

import structlog
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, Counter, Gauge

from policies.tasks import SECOND
from proxy import errors
from proxy.access.callers import Callers
from proxy.api.speech_answers import SpeechReporter
from proxy.features.jobs.core import ends, paces, records
from proxy.features.jobs.core.encoding import FileSteps
from proxy.features.jobs.core.fields import of_step
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.fingerprints import spoken_fingerprint, usable_fingerprints
from proxy.features.jobs.core.kind import PlannedStep, SpokenKind, StepAttempt, StepKind, TextKind
from proxy.features.jobs.core.paces import Spoken, spoken_of
from proxy.features.jobs.core.records import STEPS, Job, JobClip, JobStep, Kind
from proxy.features.jobs.core.settling import settle_to_the_end, sound_facts
from proxy.features.jobs.core.step_limiter import StepLimiter, is_remote, none_of
from proxy.features.jobs.core.taking import take_clip
from proxy.features.webhooks.delivery_tasks import DeliveryTasks
from proxy.file_store.vault import VaultFailed
from proxy.http.replies import encode_json
from proxy.ledger import Spent
from proxy.queue.tasks import LOOK_S, Again, Done, Result, TaskKind, event_or_timeout
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
"""The code of a failure: other processes filled the disk on which a step was collected."""
_LACKING = "model_not_found"
_LEFT = Again(is_try=False)
"""This attempt does nothing more. If the job has ended, that commit has ended the step as well. Otherwise the
next attempt plans the step again, and finds what is wrong."""

_log = structlog.get_logger()


class Steps(TaskKind[JobStep]):
    """The steps of jobs in one worker, spoken by the newest revision of the configuration."""

    name = "steps of jobs"
    table = STEPS
    outlives = False
    is_for_workers = True
    hands_over = True

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
            "voxgate_job_steps_waiting",
            "Steps to do, of accounts that can pay.",
            registry=registry,
        )
        self.places = StepLimiter()
        self._speaking: tuple[Speaking, Callers] | None = None
        self._is_here = self._serves = True
        # The accounts that are suspended or have no credits, and the postponed jobs. Until these times, no
        # step of them is tried.
        self._short_accounts: dict[str, int] = {}
        self._resting_jobs: dict[str, int] = {}

    def revise(self, speaking: Speaking, callers: Callers, *, here: bool = True, serves: bool = True) -> None:
        """Speak by a new revision from now on. If `here` is false, another process runs the steps. SQLite has
        no other process, so `here` is ignored there."""
        self._speaking = speaking, callers
        self._is_here = here or not (serves and self._store.is_shared)
        self._serves = serves

    async def list_open(self, now: int) -> list[JobStep]:
        if not self._is_here:
            return []
        for postponed in (self._short_accounts, self._resting_jobs):
            for id_ in [id_ for id_, until in postponed.items() if until <= now]:
                del postponed[id_]
        # A step that waits for a place would hide a step that has one.
        waiting_jobs = self.places.waiting_jobs(self.full_limits())
        condition = none_of(account=self._short_accounts.keys(), job=self._resting_jobs.keys() | waiting_jobs)
        return await self.table.list_open(self._store, now, 2 * self.at_once, condition)

    async def turn(self) -> None:
        self._waiting.set(await records.count_waiting(self._store))
        await super().turn()

    def look_soon(self) -> None:
        super().look_soon()
        if self._encoding is not None:
            self._encoding.look_soon()

    async def settled(self, job: str) -> None:
        """Wait a few seconds for the steps of a job that was canceled."""
        self.look_at_leases()
        with suppress(TimeoutError):
            async with asyncio.timeout(_SETTLES_S):
                while True:
                    ended = self.ended
                    if not await records.under_way(self._store, [job]):
                        return
                    # Another worker may have a step, and trainings are of another kind.
                    await event_or_timeout(ended, LOOK_S)

    def takes(self, task: JobStep) -> Mapping[Hashable, int]:
        return self.places.remote(task) or {"": self.at_once, task.account: records.OF_ACCOUNT}

    def gives_up(self, task: JobStep) -> bool:
        return task.tries + 1 >= MOST_TRIES

    def only_if(self, held: JobStep) -> Condition:
        return records.is_wanted(held)

    def noted(self, held: JobStep, result: Result) -> None:
        state = result.values.get("state") if isinstance(result, Done) else None
        self._ended.labels("lost" if result is None else str(state or "put off")).inc()
        self._notices.look_soon()
        if state is not None and self._encoding is not None:
            self._encoding.look_soon()

    async def work(self, held: JobStep) -> Result:
        try:
            return await self._work(held)
        finally:
            self.places.leave(held)

    async def _work(self, held: JobStep) -> Result:
        job = await records.JOBS.get(self._store, None, held.job)
        if job is None or job.state != "open":
            # The steps of a large job are canceled part by part.
            await self._postpone(self._resting_jobs, held.job)
            return _LEFT
        if job.kind not in self._kinds:
            # Its feature is off here. Another server may have it.
            await self._postpone(self._resting_jobs, held.job)
            return _LEFT
        is_done_with_clip = self._kinds[job.kind].is_done_with_clip
        if is_done_with_clip and await records.find_clip(self._store, held.id) is not None:
            return await self._done(held, job)
        if await self._kinds[job.kind].has_expired(job):
            return _LEFT
        attempt = StepAttempt(partial(self.has_lost, held))
        try:
            await self._carry_out(job, held, attempt)
        except (errors.QuotaExceeded, errors.AccountSuspended) as failure:
            return await self._wait_for_account(held, failure)
        except errors.RequestFailed as failure:
            return await self._failed(held, job, failure, attempt)
        except MissingReference:
            # The job was deleted meanwhile, or a consent was withdrawn: the next plan of the step reports it.
            return _LEFT
        except StorageFailed:
            # Our lease may be lost, and another holder may have been first.
            if not is_done_with_clip or await records.find_clip(self._store, held.id) is None:
                raise
        # An erasure may have taken the sound already.
        return await self._done(held, job, attempt.spoken)

    async def _wait_for_account(
        self, held: JobStep, failure: errors.QuotaExceeded | errors.AccountSuspended
    ) -> Again:
        await self._postpone(self._short_accounts, held.account)
        also: tuple[Statement, ...] = ()
        if isinstance(failure, errors.QuotaExceeded):
            also = ends.wait_for_credits(held, await self._store.now(), self._notices)
        else:
            await records.wait_for(self._store, held.job, "suspended")
        asyncio.get_running_loop().call_later(WAITS_S, self.look_soon)
        return Again(failure.message, WAITS_S, is_try=False, also=also)

    async def _done(self, held: JobStep, job: Job, spoken: Sequence[Spoken] = ()) -> Done:
        also = ends.after_step(held, self._kinds[job.kind].events, await self._store.now(), self._notices)
        return Done({"state": "done"}, (*also, *paces.adding(spoken)))

    async def _failed(
        self, held: JobStep, job: Job, failure: errors.RequestFailed, attempt: StepAttempt
    ) -> Result:
        """Return the result of a failed attempt: another try, if that may succeed. Otherwise it ends the job
        with the reason, or a line of a batch alone. A busy or absent engine is not counted as a try: a job
        may wait long while listeners are served."""
        kind, message = self._kinds[job.kind], self._stored_message(failure, job)
        is_of_engine = isinstance(failure, errors.UpstreamFailed) and attempt.has_reached_engine
        # A file that kills its reader must not be read for ever.
        is_try = is_of_engine or isinstance(failure, errors.DecodingFailed)
        is_lacking = failure.code == _LACKING and not self._serves and kind.is_checked_before
        may_end_otherwise = failure.code != errors.WRONG_SPEECH and (
            failure.status >= 500 or failure.status == 429 or failure.code == _TOO_SLOW or is_lacking
        )
        if may_end_otherwise and not (is_try and self.gives_up(held)):
            # The other steps would fail alike, and there may be very many. Lines of a batch have other
            # voices.
            if kind.fails_as_one or not is_try:
                await self._postpone(self._resting_jobs, held.job)
            after_s = failure.retry_after_s or WAITS_S
            if message != held.error:
                # Logged once: the engine may never come back.
                _log.warning("job.step.waits", job=held.job, step=held.number, code=failure.code)
                if isinstance(failure, errors.UpstreamFailed) or is_lacking:
                    await records.wait_for(self._store, held.job, "engine")
            if self._store.is_shared and not is_try and not attempt.has_reached_engine:
                after_s = 0.0  # Another process may have an engine that we lack, or room in it.
            return Again(message, after_s, is_try=is_try)
        _log.warning("job.step.failed", job=held.job, step=held.number, code=failure.code)
        now, why = await self._store.now(), replace(failure.body().error, message=message)
        if kind.fails_as_one or isinstance(failure, errors.InvalidKey):
            also = ends.after_failure(held, kind.events, now, why, self._notices)
        else:
            also = ends.after_line(held, kind.events, now, self._notices)
        error = kind.stored_error(failure.status, why)
        values: Params = {"state": "failed", "due": LAST_MOMENT, "error": error}
        return Done(values, also)

    def _stored_message(self, failure: errors.RequestFailed, job: Job) -> str:
        """Return the stored message of a failure. A voice's name may be a person's, and must not outlive an
        erasure."""
        if failure.code == "voice_not_found":
            return self._kinds[job.kind].voice_gone
        is_of_voice = (failure.param or "").startswith("voice")
        return _VOICE_FAILED if is_of_voice else failure.message

    async def _postpone(self, postponed: dict[str, int], id_: str) -> None:
        postponed[id_] = await self._store.now() + round(WAITS_S * SECOND)

    async def _carry_out(self, job: Job, held: JobStep, attempt: StepAttempt) -> None:
        """Make a step under the present terms of its account, and commit its result with its charge. Raises
        RequestFailed, StorageFailed."""
        kind, (speaking, callers) = self._kinds[job.kind], self._newest
        caller = await callers.by_id(job.key)
        terms = of_step(speaking.admission.terms(caller), is_checked=self._check.checks_jobs)
        try:
            if isinstance(kind, TextKind):
                await kind.write_step(job, held, caller, terms, attempt)
                return
            assert isinstance(kind, SpokenKind), "the steps of a kind are spoken or make text"
            planned = await kind.plan(job, held, speaking, caller, terms)
        except VaultFailed as failed:
            raise _no_vault(job, failed) from None
        await self._speak(job, held, attempt, planned)

    async def _speak(self, job: Job, held: JobStep, attempt: StepAttempt, planned: PlannedStep) -> None:
        """Speak a step, and commit its sound with its charge. Raises RequestFailed, StorageFailed."""
        call, tags, consent, source = planned
        can_repeat = self._kinds[job.kind].can_repeat
        if source and await self._take_clip(held, call, source):
            return
        attempt.engine_attempts = call.totals.attempts
        if self.places.note(held, is_remote=is_remote(call.plan)):
            self._wake.set()
        clip = _Clip(job, held, call, consent)
        openers = (*call.openers, clip.opened)
        tag = call.request.tag or job.tag
        call = replace(call, job=job.id, step=held.id, goes_whole=True, openers=openers, tag=tag)

        async def write(answer: Answer) -> None:
            size = await answer.collect()
            sound = bytearray()
            with answer.reading():
                while (data := await answer.next_chunk()) is not None:
                    sound += data
            sound += answer.last_bytes()
            assert len(sound) == size, "a whole answer has the size that it said"
            clip.crc32, clip.played = await asyncio.to_thread(
                sound_facts, bytes(sound), call.request.form.format
            )
            clip.source = call.form_by(answer.speech.engine).source
            clip.digest, clip.bytes = await self._put(job, bytes(sound)), size
            about = await self._reporter.report(answer, tags, bytes(sound))
            clip.told, clip.words = await self._put(job, encode_json(about)), len(about.words or ())
            if can_repeat:
                clip.fingerprint = await self._fingerprint(job, call)
            # From here on it is one commit or none: a cancellation waits.
            await settle_to_the_end(answer.settle)
            attempt.spoken = spoken_of(call)

        pipeline = self._newest[0].pipeline
        await pipeline.answer(call, write, lambda: 0.0 if attempt.has_lost() else None)

    async def _take_clip(self, held: JobStep, call: SpeechCall, source: str) -> bool:
        """Take over a clip of another job, if one has the same sound. Raises RequestFailed, StorageFailed."""
        await self._newest[0].pipeline.prepare_texts(call)
        usable = await usable_fingerprints(self._files.vault, held.account, call)
        return await take_clip(self._store, held, source, usable)

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
    """Adds the sound of a step to the commit of its charge."""

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
