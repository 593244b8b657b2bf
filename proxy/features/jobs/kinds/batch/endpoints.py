"""/v1/batches, compatible with OpenAI's. A batch has requests for speech only."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from proxy.access.callers import Caller, caller_of
from proxy.api.answering import TAG
from proxy.api.speech import SPEECH_FAILURES
from proxy.api.speech_forms import BackgroundRequest
from proxy.errors import IdempotencyKeyReused, InvalidRequest, NotFound
from proxy.feature import RevisionContext
from proxy.features.jobs.core import ends, records
from proxy.features.jobs.core.making import count_canceled
from proxy.features.jobs.core.records import JOBS, Job, StepTotals
from proxy.features.jobs.core.steps import Steps
from proxy.features.jobs.kinds.batch.bodies import BatchBody, BatchList, BatchObject
from proxy.features.jobs.kinds.batch.kind import BATCHES, BatchKind, failed_lines, shown_batch
from proxy.http.body import read_raw_body
from proxy.http.endpoint import Query
from proxy.http.idempotency import KEY_HEADER, read_key
from proxy.http.lists import Page, read_table_page
from proxy.http.replies import reply
from proxy.http.resource import Resource, endpoint
from proxy.speech import speech_request
from proxy.speech.speech_request import Defaults
from proxy.speech.usage_tag import TAG_HEADER

_USUAL_BATCHES, _MOST_BATCHES = 20, 100
_BATCH_QUERIES = (
    Query("limit", f"How many, 1 to {_MOST_BATCHES}. Without it, {_USUAL_BATCHES}."),
    Query("after", "The id of the last batch of the page before."),
)


class Batches(Resource):
    """Endpoints to make, list, read and cancel batches."""

    def __init__(self, kind: BatchKind, context: RevisionContext, steps: Steps) -> None:
        assert context.speaking is not None, "endpoints run in workers, which speak"
        self._kind = kind
        self._store = kind.store
        self._vault = kind.files.vault
        self._admission = context.speaking.admission
        self._steps = steps

    @endpoint(
        "POST",
        "/v1/batches",
        BatchObject,
        body=BatchBody,
        failures=(NotFound, IdempotencyKeyReused, *SPEECH_FAILURES),
        request_headers=(KEY_HEADER, TAG),
        pace="own",
    )
    async def create_batch(self, request: Request) -> Response:
        """Have the lines of an uploaded file spoken, within a day"""
        caller: Caller = caller_of(request.scope)
        terms, _ = await self._admission.admit(caller)
        raw = await read_raw_body(request)
        body = speech_request.parse(BatchBody, raw)
        key = read_key(request.headers.getlist("idempotency-key"))
        tags, id_ = request.headers.getlist(TAG_HEADER), request.scope["state"]["request_id"]
        background = BackgroundRequest(id_, self._admission, caller, terms, raw, Defaults(), key, tags)
        job, headers = await self._kind.make_batch(background, body)
        self._steps.look_now()
        self._kind.notices.look_now()
        return await self._reply_with(job, headers)

    @endpoint(
        "GET", "/v1/batches", BatchList, queries=_BATCH_QUERIES, failures=(InvalidRequest,), pace="list"
    )
    async def list_batches(self, request: Request) -> Response:
        """The account's batches, the newest first"""
        account = caller_of(request.scope).account
        listed: Page[Job] = await read_table_page(
            request,
            BATCHES,
            self._store,
            account,
            usual_rows=_USUAL_BATCHES,
            most_rows=_MOST_BATCHES,
        )
        ids = [job.id for job in listed.rows]
        totals, failed = await records.read_totals(self._store, ids), await failed_lines(self._store, ids)
        return await listed.list_response(
            BatchList,
            lambda job: shown_batch(
                self._vault, job, totals.get(job.id, StepTotals()), failed.get(job.id, 0)
            ),
        )

    @endpoint("GET", "/v1/batches/{id}", BatchObject, failures=(NotFound,))
    async def get_batch(self, request: Request) -> Response:
        """One batch"""
        return await self._reply_with(await self._find_batch(request))

    @endpoint("POST", "/v1/batches/{id}/cancel", BatchObject, failures=(NotFound,))
    async def cancel_batch(self, request: Request) -> Response:
        """End a batch. The finished lines stay"""
        job = await self._find_batch(request)
        await count_canceled(self._admission, caller_of(request.scope), job)
        await ends.end_job(self._store, job, "canceled", self._kind.notices, events=self._kind.events)
        self._steps.check_leases_now()
        self._kind.notices.look_now()
        return await self._reply_with(await self._find_batch(request))

    async def _find_batch(self, request: Request) -> Job:
        id_ = request.path_params["id"]
        job = None
        if id_.isprintable():
            job = await JOBS.get(self._store, caller_of(request.scope).account, id_)
        if job is None or job.kind != "batch":
            raise NotFound(f"The batch '{id_[:80]}' does not exist.", param="id", code="batch_not_found")
        return job

    async def _reply_with(self, job: Job, headers: dict[str, str] | None = None) -> Response:
        totals, failed = (
            await records.read_totals(self._store, [job.id]),
            await failed_lines(self._store, [job.id]),
        )
        shown = shown_batch(self._vault, job, totals.get(job.id, StepTotals()), failed.get(job.id, 0))
        return reply(shown, headers=headers)
