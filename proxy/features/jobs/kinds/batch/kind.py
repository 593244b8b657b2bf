"""Batches: jobs whose steps are the lines of a file. Each line is a request for speech, and is charged for
itself. If it fails, the other lines go on."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from functools import partial

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from policies.plans import Terms
from policies.tasks import SECOND_US
from proxy.access.callers import Caller
from proxy.api.speech_forms import BackgroundRequest
from proxy.errors import ErrorDetail, InvalidRequest
from proxy.feature import RevisionContext
from proxy.features.jobs.core import ends, uploads
from proxy.features.jobs.core.content import ZIP, no_sound, whole_reply
from proxy.features.jobs.core.ends import Events
from proxy.features.jobs.core.fields import SealedFields
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.kind import JobUpload, PlannedStep, SpokenKind
from proxy.features.jobs.core.making import MadeJob, NewJob, add_job, check_length, make_once
from proxy.features.jobs.core.records import IS_SHOWN, JOBS, Job, JobClip, JobStep, State, StepTotals
from proxy.features.jobs.kinds.batch import bodies
from proxy.features.jobs.kinds.batch.files import (
    BatchFiles,
    FileContent,
    LineFailure,
    clip_reply,
    file_id,
    shown_line_error,
)
from proxy.features.jobs.kinds.batch.lines import LineFault, read_file, request_body
from proxy.features.webhooks.delivery_tasks import DeliveryTasks
from proxy.file_store.vault import Vault
from proxy.speech import speech_request
from proxy.speech.speaking import Speaking
from proxy.speech.speech_request import Defaults, parse_speech
from proxy.storage.listed_tables import ListedTable
from proxy.storage.rows import in_list
from proxy.storage.store import Store

WINDOW_US = 24 * 3600 * SECOND_US
"""The time from the creation of a batch until it expires."""
BATCHES = ListedTable("jobs", Job, listed="kind = 'batch'", shown=IS_SHOWN)
FORMAT = "zip"
"""The format of the sound of a batch."""
_READ_AT_ONCE = 1

_COUNT_FAILED_LINES = """
SELECT job, count(*) AS failed FROM job_steps
WHERE job IN ({jobs}) AND state <> 'wanted'
    AND NOT EXISTS (SELECT 1 FROM job_clips WHERE job_clips.step = job_steps.id)
GROUP BY job
"""
# After a suspension, the account's batches have the whole window again.
_OVERDUE = f"""
{JOBS.select} kind = 'batch' AND state = 'open' AND created <= :before AND CAST(:job AS TEXT) IN ('', id)
AND EXISTS (SELECT 1 FROM accounts WHERE accounts.id = account AND suspended IS NULL AND resumed <= :before)
LIMIT 100
"""
_MOST_EXPIRED_FILES = 100


_EVENTS: Events = {
    "done": ("job.done", "batch.completed"),
    "failed": ("job.failed", "batch.failed"),
    "expired": ("job.failed", "batch.expired"),
    "canceled": ("job.canceled", "batch.cancelled"),
}


class BatchFields(SealedFields, frozen=True, kw_only=True):
    """The sealed fields of a batch, with the id of its file and the faults of this file."""

    file: str
    metadata: dict[str, str] | None = None
    faults: tuple[LineFault, ...] = ()


class BatchKind(SpokenKind):
    """The kind of batches. Each line names its own voice."""

    name = "batch"
    body = bodies.BatchJobBody
    events = _EVENTS
    retry_refusal = "A batch is not tried again: send the lines that failed in another."
    subtitles_refusal = "A batch has no subtitles: the words of each line are in its output."
    voice_gone_message = "The voice of this line is not here."
    fails_as_one = False
    is_checked_before = False

    def __init__(self, files: JobFiles, notices: DeliveryTasks) -> None:
        super().__init__(files)
        self.notices = notices
        self.batch_files = BatchFiles(files)
        # A file has a few megabytes, and to read it keeps a thread busy.
        self._places = asyncio.Semaphore(_READ_AT_ONCE)

    async def make(
        self, background: BackgroundRequest, revision: RevisionContext, upload: JobUpload | None
    ) -> MadeJob:
        body = await asyncio.to_thread(speech_request.parse, bodies.BatchJobBody, background.body)
        return await self.make_batch(background, body)

    async def make_batch(
        self, request: BackgroundRequest, body: bodies.BatchBody | bodies.BatchJobBody
    ) -> MadeJob:
        """Make a batch. If its file has a fault, the batch has failed, but at POST /v1/jobs this raises
        InvalidRequest. Raises NotFound, NotAllowed, RateLimited, IdempotencyKeyReused."""
        tag = request.tag(body.tag)
        return await make_once(self.files, request, partial(self._add, request, body, tag))

    async def plan(
        self, job: Job, step: JobStep, speaking: Speaking, caller: Caller, terms: Terms
    ) -> PlannedStep:
        line = await self.files.read_range(job.account, job.digest, step.first, step.last)
        request = parse_speech(request_body(line), Defaults(), speaking.plans.client_fields)
        return PlannedStep(await speaking.prepare_call(step.request, caller, request, terms))

    def stored_error(self, status: int, why: ErrorDetail) -> str:
        return msgspec.json.encode(LineFailure(status, why)).decode()

    def shown_error(self, error: str) -> str:
        return shown_line_error(error)

    async def content(self, job: Job, request: Request, revision: RevisionContext) -> Response:
        assert revision.speaking is not None, "a worker speaks"
        counter = revision.speaking.admission.counter
        zip_ = await self.batch_files.build_file(counter, request.scope, job, "sound")
        if zip_ is None:
            raise no_sound()
        return whole_reply(zip_, f"{job.id}.zip", ZIP, request.headers.get("range"))

    async def step_content(self, job: Job, clip: JobClip, range_: str | None) -> Response:
        return await clip_reply(self.files, clip, range_)

    async def has_expired(self, job: Job) -> bool:
        is_late = await self.store.now() - job.created >= WINDOW_US
        return is_late and await self.expire(job.id) > 0

    async def expire(self, job: str = "") -> int:
        """End the batches that are still open after their window: all of them, or the one with the id `job`.
        Return their number."""
        rows = await self.store.read(_OVERDUE, {"before": await self.store.now() - WINDOW_US, "job": job})
        for row in rows:
            await ends.end_job(self.store, JOBS.read(row), "expired", self.notices, events=self.events)
        return len(rows)

    async def tidy(self) -> None:
        await self.expire()
        while old := await uploads.list_expired(self.store, await self.store.now(), _MOST_EXPIRED_FILES):
            for file, account in old:
                await uploads.remove_file(self.files, file, account)

    async def _add(
        self,
        request: BackgroundRequest,
        body: bodies.BatchBody | bodies.BatchJobBody,
        tag: str,
        id_: str,
        digest: bytes,
    ) -> None:
        async with self._places:
            data = await self._read_input(request.caller.account, body.input_file_id)
            parsed = await asyncio.to_thread(read_file, data)
            fault = parsed.faults[0] if parsed.faults else None
            if fault is None:
                check_length(request.terms, parsed.characters, "input_file_id")
            elif isinstance(body, bodies.BatchJobBody):
                raise InvalidRequest(
                    f"Invalid value for 'input_file_id': {fault.message}", param="input_file_id"
                )
        fields = BatchFields(
            file=body.input_file_id,
            metadata=body.metadata,
            request=digest.hex(),
            title=body.title if isinstance(body, bodies.BatchJobBody) else "",
            faults=tuple(parsed.faults),
        )
        new = NewJob(id_, self.name, FORMAT, fields, b"", [], tag=tag)
        if fault is None:
            # The batch has a copy of the file, which may therefore be deleted.
            new = new._replace(data=data, pieces=parsed.lines, characters=parsed.characters)
            await add_job(self.files, request, new)
        else:
            why = ErrorDetail(fault.message, "invalid_request_error", None, fault.code)
            await add_job(
                self.files,
                request,
                new._replace(fault=why),
                lambda job: [
                    *ends.notice_statements(self.notices, job, self.events, "failed", job.created, "1 = 1")
                ],
            )

    async def _read_input(self, account: str, id_: str) -> bytes:
        file = await uploads.find_file(self.store, account, id_, "input_file_id", "batch")
        return await (await uploads.file_content(self.files, file)).read_whole()


async def failed_lines(store: Store, jobs: Collection[str]) -> dict[str, int]:
    """Return the number of failed lines of each of these batches. Batches without any are left out."""
    if not jobs:
        return {}
    names, params = in_list(sorted(jobs))
    rows = await store.read_long(_COUNT_FAILED_LINES.format(jobs=names), params)
    return {row["job"]: row["failed"] for row in rows}


def shown_batch(vault: Vault, job: Job, totals: StepTotals, failed: int) -> bodies.BatchObject:
    """Return a batch as answers show it. `failed` is the number of its failed lines. Raises VaultFailed."""
    fields = vault.open_record(job.account, job.id, job.record, BatchFields)
    faults = list(fields.faults)
    if job.error and not faults:
        faults = [LineFault(code=job.error_code, message=job.error)]
    has_begun = not fields.faults
    created, ended = job.created // bodies.MICROS, None if job.ended is None else job.ended // bodies.MICROS

    def id_if_any(content: FileContent, number: int) -> str | None:
        return file_id(job.id, content) if number and ended is not None else None

    def time_if(state: State) -> int | None:
        return ended if job.state == state else None

    return bodies.BatchObject(
        id=job.id,
        errors=bodies.BatchErrors(data=faults) if faults else None,
        input_file_id=fields.file,
        status=_STATUSES[job.state],
        output_file_id=id_if_any("output", totals.steps),
        error_file_id=id_if_any("errors", failed),
        sound_file_id=id_if_any("sound", totals.steps),
        created_at=created,
        in_progress_at=created if has_begun else None,
        expires_at=(job.created + WINDOW_US) // bodies.MICROS,
        finalizing_at=time_if("done"),
        completed_at=time_if("done"),
        failed_at=time_if("failed"),
        expired_at=time_if("expired"),
        cancelling_at=time_if("canceled"),
        cancelled_at=time_if("canceled"),
        request_counts=bodies.RequestCounts(total=job.steps, completed=totals.steps, failed=failed),
        metadata=fields.metadata,
    )


_STATUSES: dict[State, bodies.Status] = {
    "open": "in_progress",
    "done": "completed",
    "failed": "failed",
    "expired": "expired",
    "canceled": "cancelled",
}
