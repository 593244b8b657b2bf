"""/v1/jobs and /admin/jobs: work that outlives its request, its results, and its events."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing, contextmanager
from typing import Any

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from proxy import errors
from proxy.access.callers import caller_of
from proxy.api.admin_tools import AdminTools, account_endpoint
from proxy.api.answering import TAG
from proxy.api.speech import SPEECH_FAILURES
from proxy.api.speech_forms import BackgroundRequest
from proxy.feature import RevisionContext
from proxy.features.jobs.core import ends, opening, records
from proxy.features.jobs.core.bodies import DeletedJob, JobList, ShownJob
from proxy.features.jobs.core.kind import JobKind, JobKinds, JobUpload
from proxy.features.jobs.core.making import count_canceled, too_many_steps
from proxy.features.jobs.core.records import JOBS, Job
from proxy.features.jobs.core.steps import Steps
from proxy.features.jobs.kinds.speech.request import MOST_BODY_BYTES
from proxy.features.transcriptions.form import FILE
from proxy.features.transcriptions.uploads import Uploads
from proxy.features.webhooks.delivery_tasks import DeliveryTasks
from proxy.http.body import connection_of, read_raw_body
from proxy.http.connection import Connection
from proxy.http.endpoint import Endpoint, Header
from proxy.http.idempotency import KEY_HEADER, read_key
from proxy.http.lists import PAGE, read_table_page
from proxy.http.replies import encode_json, reply
from proxy.http.resource import Resource, account_of, endpoint, second_path
from proxy.speech.speech_request import Defaults
from proxy.speech.usage_tag import TAG_HEADER


class JobResource(Resource):
    """The common parts of all endpoints of jobs."""

    def __init__(self, kinds: JobKinds, tools: AdminTools) -> None:
        self._kinds = kinds
        self._tools = tools
        self._store = tools.store

    async def find_job(self, request: Request) -> Job:
        """Find the job in the path. Raises NotFound, also for the job of another account."""
        id_ = request.path_params["id"]
        job = await JOBS.get(self._store, account_of(request), id_) if id_.isprintable() else None
        if job is None:
            raise errors.NotFound(f"The job '{id_[:80]}' does not exist.", param="id", code="job_not_found")
        return job

    async def reply_with(
        self, job: Job, status: int = 200, headers: dict[str, str] | None = None, *, is_own: bool = False
    ) -> Response:
        return reply(await self._kinds.show_job(job, is_own=is_own), status, headers)


class Jobs(JobResource):
    """The endpoints for existing jobs: accounts and the operator list, end, retry and delete them."""

    def __init__(
        self, kinds: JobKinds, revision: RevisionContext, steps: Steps | None, notices: DeliveryTasks
    ) -> None:
        super().__init__(kinds, revision.admin_tools)
        self._admission = None if revision.speaking is None else revision.speaking.admission
        self._steps = steps
        self._notices = notices

    @account_endpoint(
        "GET",
        "/jobs",
        JobList,
        queries=PAGE,
        failures=(errors.InvalidRequest,),
        summary="The jobs of all accounts",
        pace="list",
    )
    async def list_jobs(self, request: Request) -> Response:
        """The account's jobs, the newest first"""
        account = await self._tools.owner_of_request(request)
        listed = await read_table_page(request, JOBS, self._store, account)
        shown = {job.id: job for job in await self._kinds.show_jobs(listed.rows)}
        return await listed.list_response(JobList, lambda job: shown[job.id])

    @endpoint(
        "GET",
        "/v1/jobs/{id}",
        ShownJob,
        failures=(errors.NotFound,),
        also=second_path("/admin/jobs/{id}", "get_job_of"),
    )
    async def get_job(self, request: Request) -> Response:
        """One job"""
        return await self.reply_with(await self.find_job(request), is_own=account_of(request) is not None)

    @endpoint(
        "POST",
        "/v1/jobs/{id}/cancel",
        ShownJob,
        failures=(errors.NotFound,),
        also=second_path("/admin/jobs/{id}/cancel", "cancel_job_of"),
    )
    async def cancel_job(self, request: Request) -> Response:
        """End a job. What was spoken stays"""
        job = await self.find_job(request)
        if self._admission is not None and account_of(request) is not None:
            await count_canceled(self._admission, caller_of(request.scope), job)
        kind = self._kinds.kind_of(job)
        before = kind.end_statements(job, by_account=account_of(request) is not None)
        await ends.end_job(self._store, job, "canceled", self._notices, before=before, events=kind.events)
        self._notices.look_now()
        await kind.after_cancel(job)
        if self._steps is not None:
            with connection_of(request).stop_when_client_leaves():
                await self._steps.wait_for_steps_of(job.id)
        # Another request may have deleted it meanwhile.
        left = await JOBS.get(self._store, job.account, job.id)
        if left is None and job.state == "open":
            job = replace(job, state="canceled", ended=await self._store.now(), waits="")
        return await self.reply_with(left or job)

    @endpoint(
        "POST",
        "/v1/jobs/{id}/retry",
        ShownJob,
        failures=(errors.NotFound, errors.Conflict, errors.RateLimited),
        also=second_path("/admin/jobs/{id}/retry", "retry_job_of"),
    )
    async def retry_job(self, request: Request) -> Response:
        """Speak what a job lacks that has failed or was canceled"""
        job = await self.find_job(request)
        if refusal := self._kinds.kind_of(job).retry_refusal:
            raise errors.Conflict(refusal, param="id")
        # The key that began the job may be revoked by now.
        key = None if account_of(request) is None else caller_of(request.scope).key
        if key is not None and self._admission is not None and job.state in ("failed", "canceled"):
            await self._admission.count_steps(caller_of(request.scope), job.steps)
        if not await opening.reopen(self._store, job, key):
            job = await self.find_job(request)
            if job.state in ("failed", "canceled"):
                raise too_many_steps()
            why = "is done" if job.state == "done" else "has not ended"
            raise errors.Conflict(f"The job {why}: nothing is to be tried again.", param="id")
        if self._steps is not None:
            self._steps.look_now()
        return await self.reply_with(await self.find_job(request))

    @endpoint(
        "DELETE",
        "/v1/jobs/{id}",
        DeletedJob,
        failures=(errors.NotFound,),
        also=second_path("/admin/jobs/{id}", "delete_job_of"),
    )
    async def delete_job(self, request: Request) -> Response:
        """Delete a job with its text and its sound"""
        job = await self.find_job(request)
        before = self._kinds.kind_of(job).end_statements(job, by_account=account_of(request) is not None)
        await self._kinds.files.remove_job(job.id, job.account, before)
        return reply(DeletedJob(id=job.id))


class ClientJobs(JobResource):
    """Makes jobs: by its endpoint, and for speech in the background."""

    accepted: type[msgspec.Struct] = ShownJob

    def __init__(self, kinds: JobKinds, revision: RevisionContext, steps: Steps, uploads: Uploads) -> None:
        super().__init__(kinds, revision.admin_tools)
        self._uploads = uploads
        assert revision.speaking is not None, "a worker speaks"
        self._revision = revision
        self._admission = revision.speaking.admission
        self._look_soon = steps.look_now

    @endpoint(
        "POST",
        "/v1/jobs",
        ShownJob,
        status=202,
        files=(FILE,),
        failures=(
            errors.NotFound,
            errors.RequestUnderWay,
            errors.IdempotencyKeyReused,
            errors.NoPlace,
            errors.DecodingFailed,
            *SPEECH_FAILURES,
        ),
        request_headers=(KEY_HEADER, TAG),
        pace="own",
    )
    async def create_job(self, request: Request) -> Response:
        """Have a long text or lines spoken, a recording converted or written down, or a voice trained"""
        background = await self.admit_request(request)
        if request.headers.get("content-type", "").lower().startswith("multipart/"):
            with self._uploads.take(background.caller.account) as place:
                form, recording = await self._uploads.read_upload(
                    connection_of(request), place, self._kinds.form_fields
                )
                return await self._begin(self._kinds.kind_of_form(form), background, (form, recording))
        raw = await read_raw_body(request, MOST_BODY_BYTES)
        kind = await asyncio.to_thread(self._kinds.kind_named_in, raw)
        return await self._begin(kind, replace(background, body=raw))

    async def make_of_form(
        self, kind: JobKind, fields: frozenset[str], request: Request, more: Mapping[str, str]
    ) -> Response:
        """Make a job of a form at another endpoint, with `more` fields."""
        background = await self.admit_request(request)
        with self._uploads.take(background.caller.account) as place:
            form, file = await self._uploads.read_upload(connection_of(request), place, fields)
            form.fields.update({name: [value] for name, value in more.items()})
            return await self._begin(kind, background, (form, file))

    async def admit_request(self, request: Request) -> BackgroundRequest:
        caller = caller_of(request.scope)
        try:
            terms, _ = await self._admission.admit(caller)
        except errors.RateLimited as failure:
            most = records.MOST_WANTED
            failure.message += f" A batch is one request for up to {most} texts: POST /v1/batches."
            raise
        id_, key = request.scope["state"]["request_id"], read_key(request.headers.getlist("idempotency-key"))
        defaults, tags = Defaults.of(self._revision.config.server), request.headers.getlist(TAG_HEADER)
        if caller.preferred_voice:
            assert self._revision.speaking is not None, "endpoints run in workers, which speak"
            defaults = await self._revision.speaking.defaults_of(caller, defaults)
        return BackgroundRequest(id_, self._admission, caller, terms, b"", defaults, key, tags)

    async def make_job(self, request: BackgroundRequest) -> Response:
        """Make the job of a request for speech in the background."""
        return await self._begin(self._kinds.default_kind, request)

    async def _begin(
        self, kind: JobKind, background: BackgroundRequest, upload: JobUpload | None = None
    ) -> Response:
        return await self.accept(*await kind.make(background, self._revision, upload))

    async def accept(self, job: Job, headers: Mapping[str, str]) -> Response:
        """Answer with a job that was made."""
        self._look_soon()
        return await self.reply_with(job, 202, {**headers, "location": f"/v1/jobs/{job.id}"})


def add_kind_bodies(endpoints: Sequence[Endpoint], kinds: JobKinds) -> list[Endpoint]:
    """Return the endpoints. Those that make and preview jobs get the bodies and forms of all kinds."""
    bodies, forms, previews = kinds.bodies, tuple(kinds.forms_by_kind.values()), kinds.preview_bodies
    of_forms = {"form": forms[0], "other_forms": forms[1:]}
    fields_by_endpoint: dict[str, dict[str, Any]] = {
        "create_job": {"body": bodies[0], "other_bodies": bodies[1:], **of_forms},
        "preview_job": {"body": previews[0], "other_bodies": previews[1:]},
    }
    return [each._replace(**fields_by_endpoint.get(each.name, {})) for each in endpoints]


MOST_OF_ACCOUNT = 32
"""The most streams of events of an account. Each stream reads its job every second, for as long as the job
lasts."""

_LAST_EVENT = Header("Last-Event-ID", "The `id` of the last event that was seen.", "^[0-9]{1,9}$")
_NOTHING_SEEN = -1
_LOOK_S = 1.0
_RETRY_S = 5.0


class EventStreams:
    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<EventStreams, {self._open.total()} of {len(self._open)} accounts>"

    @contextmanager
    def counted_stream(self, account: str) -> Iterator[None]:
        """Count a stream of an account until the block ends. Raises RateLimited."""
        if self._open[account] >= MOST_OF_ACCOUNT:
            raise errors.RateLimited(
                f"Your account has {MOST_OF_ACCOUNT} streams of events open, which is the most.",
                code="too_many_event_streams",
                retry_after_s=_RETRY_S,
            )
        self._open[account] += 1
        try:
            yield
        finally:
            self._open[account] -= 1
            if not self._open[account]:
                del self._open[account]


class JobEvents(JobResource):
    def __init__(self, kinds: JobKinds, tools: AdminTools, streams: EventStreams) -> None:
        super().__init__(kinds, tools)
        self._streams = streams

    @endpoint(
        "GET",
        "/v1/jobs/{id}/events",
        media=("text/event-stream",),
        failures=(errors.NotFound, errors.RateLimited),
        request_headers=(_LAST_EVENT,),
    )
    async def get_job_events(self, request: Request) -> Response:
        """The job as an event whenever it has come further, until its end"""
        job = await self.find_job(request)
        seen = request.headers.get("last-event-id", "")
        last_seen = int(seen) if seen.isdecimal() and len(seen) < 10 else _NOTHING_SEEN
        return _Events(self._job_states(job), last_seen, self._streams.counted_stream(job.account))

    async def _job_states(self, job: Job) -> AsyncGenerator[ShownJob, None]:
        while True:
            yield await self._kinds.show_job(job, is_own=True)
            if job.state != "open":
                return
            await asyncio.sleep(_LOOK_S)
            if (found := await JOBS.get(self._store, job.account, job.id)) is None:
                return
            job = found


def _progress(job: ShownJob) -> int:
    """Return the number of steps that are done. It only grows, except that a training may return to its last
    checkpoint."""
    return job.steps_done if job.training is None else job.training.step


class _Events(Response):
    """Server-sent events of a job. Their ids are its progress, so a client that reconnects misses nothing."""

    media_type = "text/event-stream"

    def __init__(
        self, states: AsyncGenerator[ShownJob, None], last_seen: int, counted: AbstractContextManager[None]
    ) -> None:
        super().__init__(headers={"x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._job_states = states
        self._last_seen = last_seen
        self._counted = counted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection, before = Connection(scope, receive, send), None
        with self._counted, connection.stop_when_client_leaves():
            connection.set_head(self.status_code, self.raw_headers)
            await connection.send(b": follow\n\n")
            async with aclosing(self._job_states) as states:
                async for job in states:
                    # The end is one step further than the last one.
                    number = _progress(job) + (job.ended is not None)
                    if job != before and (number > self._last_seen or job.ended is None):
                        await connection.send(b"id: %d\ndata: %b\n\n" % (number, encode_json(job)))
                    before = job
                    if scope["method"] == "HEAD":
                        break
                    if connection.is_hurried:
                        # A client of events reconnects by itself, and an open job may go on for days.
                        break
            await connection.end(b"")
