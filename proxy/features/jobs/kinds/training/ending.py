"""Ends trainings. In one commit, the voice gets the model, the price becomes due and the job is done."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from prometheus_client import CollectorRegistry, Counter

from proxy.catalogue.erasing import Purges
from proxy.catalogue.library import Library
from proxy.catalogue.trained_voice_store import TrainedVoiceStore
from proxy.errors import ErrorDetail
from proxy.features.jobs.core import ends
from proxy.features.jobs.core import records as job_records
from proxy.features.jobs.core.records import JOBS, JobStep
from proxy.features.jobs.kinds.training import records
from proxy.features.jobs.kinds.training.process import TrainingResult
from proxy.features.jobs.kinds.training.records import TRAININGS, Training
from proxy.features.webhooks.delivery_tasks import DeliveryTasks
from proxy.queue.tasks import Done
from proxy.storage.rows import LAST_MOMENT
from proxy.storage.store import Condition, Params, Statement, Store

VOICE_ERASED = ErrorDetail("The voice was deleted.", "invalid_request_error", "voice", "voice_erased")

IS_DUE = f"{TRAININGS.finished} AND EXISTS (SELECT 1 FROM trainings WHERE id = :of_job AND state = 'owed')"
"""SQL with the parameter `of_job`: this commit has ended the training with a voice."""
_DONE_IF_DUE = f"""
UPDATE jobs SET state = 'done', ended = :now, waits = '' WHERE id = :of_job AND state = 'open' AND {IS_DUE}
"""
_END_BY_STEP = f"{ends.END} AND {TRAININGS.finished}"

_log = structlog.get_logger()


class TrainingEnds:
    """Ends trainings: with a voice, with a failure, or with the erasure of the voice."""

    def __init__(
        self, store: Store, trained: TrainedVoiceStore, registry: CollectorRegistry, notices: DeliveryTasks
    ) -> None:
        self._store = store
        self._ended = Counter(
            "voxgate_trainings", "Ends of trainings: `done`, `failed`.", ["result"], registry=registry
        )
        self._trained = trained
        self._notices = notices
        self._library: Library | None = None
        self._purges: Purges | None = None

    def revise(self, library: Library, purges: Purges) -> None:
        self._library, self._purges = library, purges

    async def end_with_voice(
        self, step: JobStep, training: Training, result: TrainingResult, export_rows: Sequence[Statement]
    ) -> None:
        """Give a voice its model, and end the job with the statements `export_rows` of its exported file. It
        writes nothing if the job has ended or the voice was erased, so a second call is harmless."""
        model = await self._trained.put(training.account, training.voice, training.format, result.file)
        replaced = await self._trained.replaced_by(model)
        now = await self._store.now()
        of_job: Params = {"of_job": training.id}
        also = (
            *self._trained.statements(model, Condition(TRAININGS.finished, {})),
            records.owe_statement(step, model.id, result.done),
            *(Statement(each.sql, {**each.params, **of_job}) for each in export_rows),
            Statement(_DONE_IF_DUE, {**of_job, "now": now}),
            *self._failure_statements(step, VOICE_ERASED, now),
            *ends.notice_statements(self._notices, step, ends.JOB_EVENTS, "done", now, TRAININGS.finished),
        )
        is_written = await TRAININGS.write_held(
            self._store,
            step,
            {"state": "done", "due": LAST_MOMENT, "error": ""},
            only_if=job_records.step_condition(step),
            also=also,
            gives_back=True,
        )
        if not is_written or not await self._trained.is_stored(model):
            await self._trained.drop(model)
            return
        if self._library is not None:
            self._library.forget(training.account)
        if self._purges is not None:
            await self._purges.purge_voice(training.account, training.voice)
        self._notices.look_now()
        self._ended.labels("done").inc()
        _log.info(
            "job.training.complete", job=training.id, steps=result.done.steps, best=result.done.best_step
        )
        for old in replaced:
            await self._trained.drop(old)

    async def end_as_failed(self, step: JobStep, why: ErrorDetail, *, is_owners: bool = False) -> Done:
        """Return the end of a training that has failed. If `is_owners`, its account is the cause, and pays
        for the steps on rented machines."""
        self._ended.labels("failed").inc()
        _log.warning("job.training.failed", job=step.job, code=why.code)
        also = self._failure_statements(step, why, await self._store.now())
        if is_owners:
            also = (records.owe_part_statement(step.job, TRAININGS.finished), *also)
        return Done({"state": "failed", "due": LAST_MOMENT, "error": why.message}, also)

    async def remove_voice(self, voice: str, *, is_late: bool) -> None:
        """End the trainings of an erased voice."""
        del is_late
        for id_ in await records.list_open_of_voice(self._store, voice):
            job = await JOBS.get(self._store, None, id_)
            if job is not None:
                await ends.end_job(self._store, job, "failed", self._notices, VOICE_ERASED)

    def look_now(self) -> None:
        self._notices.look_now()

    def _failure_statements(self, step: JobStep, why: ErrorDetail, now: int) -> tuple[Statement, ...]:
        end: Params = {"job": step.job, "now": now, **ends.failure_params(why)}
        notice_rows = ends.notice_statements(
            self._notices, step, ends.JOB_EVENTS, "failed", now, TRAININGS.finished
        )
        return (Statement(_END_BY_STEP, end), *notice_rows)
