"""How a training ends: its voice has the model, the price is owed and the job is done, all in one commit."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from prometheus_client import CollectorRegistry, Counter

from proxy.catalogue.library import Library
from proxy.catalogue.notices import NO_NOTICES, Notices
from proxy.catalogue.purges import NoPurges, Purges
from proxy.catalogue.trained_voices import TrainedVoices
from proxy.errors import ErrorDetail
from proxy.features.jobs.core import ends
from proxy.features.jobs.core import records as job_records
from proxy.features.jobs.core.records import JOBS, JobStep
from proxy.features.jobs.kinds.training import records
from proxy.features.jobs.kinds.training.process import LearntVoice
from proxy.features.jobs.kinds.training.records import TRAININGS, Training
from proxy.storage.rows import LAST_MOMENT
from proxy.storage.store import Condition, Params, Statement, Store
from proxy.work.wishes import Done

VOICE_ERASED = ErrorDetail("The voice was deleted.", "invalid_request_error", "voice", "voice_erased")

IS_OWED = f"{TRAININGS.finished} AND EXISTS (SELECT 1 FROM trainings WHERE id = :of_job AND state = 'owed')"
_DONE_IF_OWED = f"""
UPDATE jobs SET state = 'done', ended = :now, waits = '' WHERE id = :of_job AND state = 'open' AND {IS_OWED}
"""
_END_BY_STEP = f"{ends.END} AND {TRAININGS.finished}"

_log = structlog.get_logger()


class TrainingEnds:
    """Writes the ends of trainings in one worker."""

    def __init__(
        self, store: Store, trained: TrainedVoices, registry: CollectorRegistry, notices: Notices = NO_NOTICES
    ) -> None:
        self._store = store
        self._ended = Counter(
            "voxgate_trainings", "Ends of trainings: `done`, `failed`.", ["result"], registry=registry
        )
        self._trained = trained
        self._notices = notices
        self._library: Library | None = None
        self._purges: Purges = NoPurges()

    def revise(self, library: Library, purges: Purges) -> None:
        self._library, self._purges = library, purges

    async def done(
        self, held: JobStep, training: Training, learnt: LearntVoice, given: Sequence[Statement]
    ) -> None:
        """Give a voice its model, and end the job, which is `given` its file, unless it goes on no longer or
        the voice was erased. What was written once is not written again."""
        model = await self._trained.put(training.account, training.voice, training.format, learnt.file)
        before = await self._trained.replaced_by(model)
        now = await self._store.now()
        of_job: Params = {"of_job": training.id}
        also = (
            *self._trained.statements(model, Condition(TRAININGS.finished, {})),
            records.owe_statement(held, model.id, learnt.done),
            *(Statement(each.sql, {**each.params, **of_job}) for each in given),
            Statement(_DONE_IF_OWED, {**of_job, "now": now}),
            *self._failure(held, VOICE_ERASED, now),
            *ends.told(self._notices, held, ends.JOB_EVENTS, "done", now, TRAININGS.finished),
        )
        is_written = await TRAININGS.write(
            self._store,
            held,
            {"state": "done", "due": LAST_MOMENT, "error": ""},
            only_if=job_records.is_wanted(held),
            also=also,
            gives_back=True,
        )
        if not is_written or not await self._trained.is_kept(model):
            await self._trained.drop(model)
            return
        if self._library is not None:
            self._library.forget(training.account)
        await self._purges.purge_voice(training.account, training.voice)
        self._notices.look_soon()
        self._ended.labels("done").inc()
        _log.info(
            "job.training.complete", job=training.id, steps=learnt.done.steps, best=learnt.done.best_step
        )
        for old in before:
            await self._trained.drop(old)

    async def failed(self, held: JobStep, why: ErrorDetail, *, is_owners: bool = False) -> Done:
        """Return the end of a training that cannot be done, or that its account has made impossible."""
        self._ended.labels("failed").inc()
        _log.warning("job.training.failed", job=held.job, code=why.code)
        also = self._failure(held, why, await self._store.now())
        if is_owners:
            also = (records.owe_part_statement(held.job, TRAININGS.finished), *also)
        return Done({"state": "failed", "due": LAST_MOMENT, "error": why.message}, also)

    async def remove_voice(self, voice: str, *, is_late: bool) -> None:
        """End the trainings of a voice that is erased. Their files go with what it has spoken."""
        del is_late
        for id_ in await records.of_voice(self._store, voice):
            job = await JOBS.get(self._store, None, id_)
            if job is not None:
                await ends.end(self._store, job, "failed", self._notices, VOICE_ERASED)

    def look_soon(self) -> None:
        self._notices.look_soon()

    def _failure(self, held: JobStep, why: ErrorDetail, now: int) -> tuple[Statement, ...]:
        """Return what ends the job of a step as failed, if it is still open."""
        end: Params = {"job": held.job, "now": now, **ends.failed(why)}
        told = ends.told(self._notices, held, ends.JOB_EVENTS, "failed", now, TRAININGS.finished)
        return (Statement(_END_BY_STEP, end), *told)
