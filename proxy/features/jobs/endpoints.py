"""/v1/jobs and /admin/jobs: work that outlives its request."""

from __future__ import annotations

import asyncio
from functools import partial

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from proxy.access.callers import caller_of
from proxy.api.admin_tools import AdminTools, account_endpoint
from proxy.api.speech import SPEECH_FAILURES
from proxy.api.speech_forms import BackgroundRequest
from proxy.errors import (
    Conflict,
    DecodingFailed,
    IdempotencyKeyReused,
    InvalidRequest,
    NoPlace,
    NotFound,
    RateLimited,
)
from proxy.feature import RevisionContext
from proxy.features.conversions.form import FILE
from proxy.features.jobs.core import ends, records
from proxy.features.jobs.core.bodies import DeletedJob, JobList, ShownJob
from proxy.features.jobs.core.kind import JobKind
from proxy.features.jobs.core.kinds import JobKinds
from proxy.features.jobs.core.making import too_many_wait
from proxy.features.jobs.core.records import JOBS, Job
from proxy.features.jobs.core.steps import Steps
from proxy.features.jobs.kinds.batch.bodies import BatchJobBody
from proxy.features.jobs.kinds.conversion.kind import ConversionJobForm
from proxy.features.jobs.kinds.speech.request import MOST_BODY_BYTES, JobBody
from proxy.features.jobs.kinds.training.kind import TrainingBody
from proxy.features.webhooks.delivery_tasks import DeliveryTasks
from proxy.http.body import open_body, raw_body
from proxy.http.idempotency import KEY_HEADER, read_key
from proxy.http.lists import PAGE, page
from proxy.http.replies import reply
from proxy.http.resource import Resource, account_of, endpoint
from proxy.speech.speech_request import Defaults


class JobResource(Resource):
    """What the endpoints of jobs have in common."""

    def __init__(self, kinds: JobKinds, tools: AdminTools) -> None:
        self._kinds = kinds
        self._tools = tools
        self._store = tools.store

    async def found(self, request: Request) -> Job:
        """Return the job that a path names. Another account's is as unknown as none."""
        id_ = request.path_params["id"]
        job = await JOBS.get(self._store, account_of(request), id_) if id_.isprintable() else None
        if job is None:
            raise NotFound(f"The job '{id_[:80]}' does not exist.", param="id", code="job_not_found")
        return job

    async def show(self, job: Job, status: int = 200, headers: dict[str, str] | None = None) -> Response:
        return reply(await self._kinds.shown_one(job), status, headers)


class Jobs(JobResource):
    """What accounts and the operator do with jobs that are there."""

    def __init__(
        self, kinds: JobKinds, tools: AdminTools, steps: Steps | None, notices: DeliveryTasks
    ) -> None:
        super().__init__(kinds, tools)
        self._steps = steps
        self._notices = notices

    @account_endpoint(
        "GET", "/jobs", JobList, queries=PAGE, failures=(InvalidRequest,), summary="The jobs of all accounts"
    )
    async def list_jobs(self, request: Request) -> Response:
        """The account's jobs, the newest first"""
        account = await self._tools.owner(request)
        listed = await page(
            request, partial(JOBS.place_of, self._store, account), partial(JOBS.page, self._store, account)
        )
        shown = {job.id: job for job in await self._kinds.shown(listed.rows)}
        return listed.answer(JobList, lambda job: shown[job.id])

    @endpoint("GET", "/v1/jobs/{id}", ShownJob, failures=(NotFound,))
    @endpoint("GET", "/admin/jobs/{id}", ShownJob, failures=(NotFound,), name="get_job_of")
    async def get_job(self, request: Request) -> Response:
        """One job"""
        return await self.show(await self.found(request))

    @endpoint("POST", "/v1/jobs/{id}/cancel", ShownJob, failures=(NotFound,))
    @endpoint("POST", "/admin/jobs/{id}/cancel", ShownJob, failures=(NotFound,), name="cancel_job_of")
    async def cancel_job(self, request: Request) -> Response:
        """End a job. What was spoken stays"""
        job = await self.found(request)
        kind = self._kinds.of(job)
        before = kind.ended_with(job, by_account=account_of(request) is not None)
        await ends.end(self._store, job, "canceled", self._notices, before=before, events=kind.events)
        self._notices.look_soon()
        await kind.ended(job)
        if self._steps is not None:
            with open_body(request).stop_when_client_leaves():
                await self._steps.settled(job.id)
        # Another request may have deleted it meanwhile.
        left = await JOBS.get(self._store, job.account, job.id)
        if left is None and job.state == "open":
            job = replace(job, state="canceled", ended=await self._store.now(), waits="")
        return await self.show(left or job)

    @endpoint("POST", "/v1/jobs/{id}/retry", ShownJob, failures=(NotFound, Conflict, RateLimited))
    @endpoint(
        "POST",
        "/admin/jobs/{id}/retry",
        ShownJob,
        failures=(NotFound, Conflict, RateLimited),
        name="retry_job_of",
    )
    async def retry_job(self, request: Request) -> Response:
        """Speak what a job lacks that has failed or was canceled"""
        job = await self.found(request)
        if refusal := self._kinds.of(job).retry_refusal:
            raise Conflict(refusal, param="id")
        # The key that began it may be no good any more.
        key = None if account_of(request) is None else caller_of(request.scope).key
        if not await records.reopen(self._store, job, key):
            job = await self.found(request)
            if job.state in ("failed", "canceled"):
                raise too_many_wait()
            why = "is done" if job.state == "done" else "has not ended"
            raise Conflict(f"The job {why}: nothing is to be tried again.", param="id")
        if self._steps is not None:
            self._steps.look_soon()
        return await self.show(await self.found(request))

    @endpoint("DELETE", "/v1/jobs/{id}", DeletedJob, failures=(NotFound,))
    @endpoint("DELETE", "/admin/jobs/{id}", DeletedJob, failures=(NotFound,), name="delete_job_of")
    async def delete_job(self, request: Request) -> Response:
        """Delete a job with its text and its sound"""
        job = await self.found(request)
        before = self._kinds.of(job).ended_with(job, by_account=account_of(request) is not None)
        await self._kinds.files.remove_job(job.id, job.account, before)
        return reply(DeletedJob(id=job.id))


class ClientJobs(JobResource):
    """How accounts ask for jobs."""

    accepted: type[msgspec.Struct] = ShownJob

    def __init__(self, kinds: JobKinds, at: RevisionContext, steps: Steps) -> None:
        super().__init__(kinds, at.admin_tools)
        assert at.speaking is not None, "a worker speaks"
        self._at = at
        self._admission = at.speaking.admission
        self._look_soon = steps.look_soon

    @endpoint(
        "POST",
        "/v1/jobs",
        ShownJob,
        status=202,
        body=JobBody,
        other_bodies=(BatchJobBody, TrainingBody),
        form=ConversionJobForm,
        files=(FILE,),
        failures=(NotFound, IdempotencyKeyReused, NoPlace, DecodingFailed, *SPEECH_FAILURES),
        request_headers=(KEY_HEADER,),
        pace="own",
    )
    async def create_job(self, request: Request) -> Response:
        """Have a long text spoken, a long recording converted, a file's lines spoken, or a voice trained"""
        caller = caller_of(request.scope)
        try:
            terms, _ = await self._admission.admit(caller)
        except RateLimited as failure:
            most = records.MOST_WANTED
            failure.message += f" A batch is one request for up to {most} texts: POST /v1/batches."
            raise
        id_, key = request.scope["state"]["request_id"], read_key(request.headers.getlist("idempotency-key"))
        asked = BackgroundRequest(id_, caller, terms, b"", Defaults.of(self._at.config.server), key)
        if request.headers.get("content-type", "").lower().startswith("multipart/"):
            return await self._begin(self._kinds.of_form, asked, request)
        raw = await raw_body(request, MOST_BODY_BYTES)
        kind = await asyncio.to_thread(self._kinds.named_in, raw)
        return await self._begin(kind, asked._replace(body=raw), request)

    async def begin(self, request: BackgroundRequest) -> Response:
        """Make the job of a request for speech in the background."""
        return await self._begin(self._kinds.usual, request)

    async def _begin(
        self, kind: JobKind, asked: BackgroundRequest, request: Request | None = None
    ) -> Response:
        made = await kind.make(asked, self._at, request)
        self._look_soon()
        return await self.show(made.job, 202, {**made.headers, "location": f"/v1/jobs/{made.job.id}"})
