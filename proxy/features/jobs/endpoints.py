"""/v1/jobs and /admin/jobs: speech that outlives its request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import NamedTuple

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from policies import text_tags
from policies.plans import Terms
from proxy.access.callers import Caller, caller_of
from proxy.api.admin_tools import AdminTools, answers_at_both
from proxy.api.conversion_form import FILE
from proxy.api.speech import SPEECH_FAILURES
from proxy.api.speech_forms import BackgroundRequest
from proxy.catalogue.notices import Notices
from proxy.errors import (
    Conflict,
    DecodingFailed,
    IdempotencyKeyReused,
    InvalidRequest,
    NoPlace,
    NotFound,
    RateLimited,
)
from proxy.features.jobs import ends, records
from proxy.features.jobs.batches.bodies import BatchJobBody
from proxy.features.jobs.batches.maker import BatchMaker
from proxy.features.jobs.bodies import DeletedJob, JobList, ShownJob, Watching
from proxy.features.jobs.chapters import chapter_of, cut, in_chapter, mute
from proxy.features.jobs.conversions.maker import ConversionMaker
from proxy.features.jobs.conversions.request import ConversionJobForm
from proxy.features.jobs.kept import JobFiles
from proxy.features.jobs.making import MadeJob, add_job, check_length, made_once, too_many_wait
from proxy.features.jobs.pieces import MOST_CHARACTERS, TextPiece
from proxy.features.jobs.records import JOBS, Job
from proxy.features.jobs.request import (
    ENCODED,
    MOST_BODY_BYTES,
    JobBody,
    SentFields,
    SentJob,
    of_step,
    parse_job,
    parse_other,
    step_body,
    step_text,
)
from proxy.features.jobs.steps import Steps
from proxy.features.jobs.training.bills import TrainingBills
from proxy.features.jobs.training.bodies import TrainingBody
from proxy.features.jobs.training.maker import TrainingMaker
from proxy.features.jobs.training.records import owe_part_statement
from proxy.http.body import open_body, raw_body
from proxy.http.idempotency import KEY_HEADER, sent_key
from proxy.http.lists import PAGE, page
from proxy.http.replies import reply
from proxy.http.resource import Resource, account_of, answers
from proxy.speech import speech_request
from proxy.speech.call import SpeechCall
from proxy.speech.speaking import Speaking
from proxy.speech.speech_request import Defaults
from proxy.speech.split_text import EMOTION, inexpressible
from proxy.storage.store import Statement


class JobTools:
    """What the endpoints of jobs have in common."""

    def __init__(self, tools: AdminTools, files: JobFiles, steps: Steps | None) -> None:
        self._tools = tools
        self._store = tools.store
        self._files = files
        self._steps = steps
        self._watching = Watching(tools.store, tools.vault)

    async def found(self, request: Request) -> Job:
        """Return the job that a path names. Another account's is as unknown as none."""
        id_ = request.path_params["id"]
        job = await JOBS.get(self._store, account_of(request), id_) if id_.isprintable() else None
        if job is None:
            raise NotFound(f"The job '{id_[:80]}' does not exist.", param="id", code="job_not_found")
        return job

    async def show(self, job: Job, status: int = 200, headers: dict[str, str] | None = None) -> Response:
        return reply(await self._watching.shown_one(job), status, headers)


class Jobs(JobTools, Resource):
    """What accounts and the operator do with jobs that are there."""

    def __init__(
        self,
        tools: AdminTools,
        files: JobFiles,
        steps: Steps | None,
        notices: Notices,
        bills: TrainingBills | None,
    ) -> None:
        super().__init__(tools, files, steps)
        self._notices = notices
        self._bills = bills

    @answers_at_both(
        "GET", "/jobs", JobList, queries=PAGE, failures=(InvalidRequest,), summary="The jobs of all accounts"
    )
    async def list_jobs(self, request: Request) -> Response:
        """The account's jobs, the newest first"""
        account = await self._tools.owner(request)
        listed = await page(
            request, partial(JOBS.place_of, self._store, account), partial(JOBS.page, self._store, account)
        )
        shown = {job.id: job for job in await self._watching.shown(listed.rows)}
        return listed.answer(JobList, lambda job: shown[job.id])

    @answers("GET", "/v1/jobs/{id}", ShownJob, failures=(NotFound,))
    @answers("GET", "/admin/jobs/{id}", ShownJob, failures=(NotFound,), name="get_job_of")
    async def get_job(self, request: Request) -> Response:
        """One job"""
        return await self.show(await self.found(request))

    @answers("POST", "/v1/jobs/{id}/cancel", ShownJob, failures=(NotFound,))
    @answers("POST", "/admin/jobs/{id}/cancel", ShownJob, failures=(NotFound,), name="cancel_job_of")
    async def cancel_job(self, request: Request) -> Response:
        """End a job. What was spoken stays"""
        job = await self.found(request)
        await ends.end(self._store, job, "canceled", self._notices, before=_owed(request, job))
        self._notices.look_soon()
        if self._bills is not None and job.kind == "training":
            await self._bills.make_room(job.id)
        if self._steps is not None:
            with open_body(request).stop_when_client_leaves():
                await self._steps.settled(job.id)
        # Another request may have deleted it meanwhile.
        left = await JOBS.get(self._store, job.account, job.id)
        if left is None and job.state == "open":
            job = replace(job, state="canceled", ended=await self._store.now(), waits="")
        return await self.show(left or job)

    @answers("POST", "/v1/jobs/{id}/retry", ShownJob, failures=(NotFound, Conflict, RateLimited))
    @answers(
        "POST",
        "/admin/jobs/{id}/retry",
        ShownJob,
        failures=(NotFound, Conflict, RateLimited),
        name="retry_job_of",
    )
    async def retry_job(self, request: Request) -> Response:
        """Speak what a job lacks that has failed or was canceled"""
        job = await self.found(request)
        if job.kind == "batch":
            raise Conflict("A batch is not tried again: send the lines that failed in another.", param="id")
        if job.kind == "training":
            raise Conflict("A training is not tried again: ask for another one.", param="id")
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

    @answers("DELETE", "/v1/jobs/{id}", DeletedJob, failures=(NotFound,))
    @answers("DELETE", "/admin/jobs/{id}", DeletedJob, failures=(NotFound,), name="delete_job_of")
    async def delete_job(self, request: Request) -> Response:
        """Delete a job with its text and its sound"""
        job = await self.found(request)
        await self._files.remove_job(job.id, job.account, _owed(request, job))
        return reply(DeletedJob(id=job.id))


def _owed(request: Request, job: Job) -> tuple[Statement, ...]:
    """Return what makes a job owe for what ran of it, if its account ends it, and not the operator."""
    is_owed = job.kind == "training" and account_of(request) is not None
    return (owe_part_statement(job.id),) if is_owed else ()


class AskedAs(NamedTuple):
    """What the configuration says of jobs that are asked for."""

    defaults: Defaults
    step_characters: int


class JobMakers(NamedTuple):
    """What makes jobs that are no text."""

    batches: BatchMaker
    conversions: ConversionMaker
    trainings: TrainingMaker


class ClientJobs(JobTools, Resource):
    """How accounts ask for jobs, and get what was made."""

    accepted: type[msgspec.Struct] | None = ShownJob

    def __init__(
        self,
        tools: AdminTools,
        files: JobFiles,
        steps: Steps,
        speaking: Speaking,
        asked_as: AskedAs,
        makers: JobMakers,
    ) -> None:
        super().__init__(tools, files, steps)
        self._makers = makers
        self._look_soon = steps.look_soon
        self._speaking = speaking
        self._asked_as = asked_as

    @answers(
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
            terms = (await self._speaking.admission.admit(caller)).terms
        except RateLimited as failure:
            most = records.MOST_WANTED
            failure.message += f" A batch is one request for up to {most} texts: POST /v1/batches."
            raise
        id_, key = request.scope["state"]["request_id"], sent_key(request.headers.getlist("idempotency-key"))
        asked = BackgroundRequest(id_, caller, terms, b"", self._asked_as.defaults, key)
        if request.headers.get("content-type", "").lower().startswith("multipart/"):
            sent = await self._makers.conversions.read(request, terms)
            return await self._begun(await self._makers.conversions.make(asked, sent))
        raw = await raw_body(request, MOST_BODY_BYTES)
        asked = asked._replace(body=raw)
        match await asyncio.to_thread(parse_other, raw):
            case BatchJobBody() as batch:
                return await self._begun(await self._makers.batches.make(asked, batch))
            case TrainingBody() as training:
                made = await self._makers.trainings.make(asked, training)
                self._makers.trainings.look_soon()
                return await self._begun(made)
        return await self.begin(asked)

    async def begin(self, request: BackgroundRequest) -> Response:
        """Make the job that is asked for here, or as speech in the background."""
        caller = request.caller
        # It holds the interpreter's lock for a few milliseconds, and the loop for none.
        sent = await asyncio.to_thread(parse_job, request.body, request.defaults)
        _check_length(sent, request.terms)
        return await self._begun(
            await made_once(self._store, self._tools.vault, request, partial(self._add, caller, sent))
        )

    async def _begun(self, made: MadeJob) -> Response:
        self._look_soon()
        return await self.show(made.job, 202, {**made.headers, "location": f"/v1/jobs/{made.job.id}"})

    async def _add(self, caller: Caller, sent: SentJob, id_: str, digest: bytes) -> None:
        """Plan the beginning as a step will be planned, and add the job. Raises RequestFailed."""
        at = len(sent.text) - len(sent.text.lstrip())
        plan = partial(self._planned, id_, caller, sent, of_step(self._speaking.admission.terms(caller)))
        start = await plan(sent.text[at : at + MOST_CHARACTERS])
        voice = start.plan.voice
        names = tuple(name for name, _ in start.request.cast or tuple(voice.cast))
        language = start.plan.language
        found, chapters = await asyncio.to_thread(
            cut, sent.text, sent.chapters, language, names, self._asked_as.step_characters
        )
        account, vault = caller.account, self._tools.vault
        fields = SentFields(
            sent=sent.sent,
            cast=names,
            request=digest.hex(),
            chapters=chapters,
            files=sent.files,
            kbit_s=sent.kbit_s,
        )
        ignored = {*start.ignored(), *await _dropped_tags(fields, sent.text, found, plan)}
        fields = replace(fields, ignored=tuple(sorted(ignored)))
        sealed = await vault.seal_record(account, id_, fields)
        text = sent.text.encode()
        job = Job(
            id=id_,
            account=account,
            key=caller.key,
            created=await self._store.now(),
            format=sent.format,
            characters=len(sent.text),
            bytes=len(text) + len(sealed.sealed),
            steps=len(found),
            digest=await self._files.put(account, text),
            wrapped=sealed.wrapped,
            sealed=sealed.sealed,
        )
        await add_job(self._store, self._files, job, found, has_file=sent.format in ENCODED)

    async def _planned(self, id_: str, caller: Caller, sent: SentJob, terms: Terms, text: str) -> SpeechCall:
        plans, body = self._speaking.plans, step_body(SentFields(sent=sent.sent), text)
        request = speech_request.parse_speech(body, speech_request.Defaults(), plans.client_fields)
        if request.emotion_tags == "refuse":
            request = replace(request, emotion_tags="drop")  # a refusal tells the place in the whole text
        return await self._speaking.call(id_, caller, request, terms)


async def _dropped_tags(
    fields: SentFields, text: str, pieces: Sequence[TextPiece], plan: Callable[[str], Awaitable[SpeechCall]]
) -> Sequence[str]:
    """Return EMOTION if tags of the text are left out. Raises InvalidRequest if the job refuses that."""
    mode, seen = msgspec.json.decode(fields.sent.get("emotion_tags", b"null")), set[tuple[str, str]]()
    for number, (start, end) in enumerate(pieces, 1):
        if mode == "text" or text_tags.first_emotion(text[start:end]) is None:
            continue
        begin = fields.begin_of(number)
        first, last = start - begin, end - begin
        work = partial(step_text, text[begin:], fields.cast, first, last, has_emotion=False)
        piece = await asyncio.to_thread(work)
        turns = text_tags.turns(piece.text, fields.cast)
        tags = {(turn.name, tag.value) for turn in turns for tag in turn.tags}
        # Those that were judged before fare alike.
        for part in (await plan(piece.text)).plan.parts if tags - seen else ():
            tag = text_tags.first_emotion(piece.text, part.start, part.end)
            if tag is None or EMOTION not in part.candidates[0].ignores:
                continue
            if mode != "refuse":
                return [EMOTION]
            chapter = chapter_of(fields.chapters, number)
            param = "input" if chapter is None else in_chapter(chapter - 1, "input")
            raise inexpressible(tag, first + tag.start - piece.tags, part.candidates[0], param)
        seen |= tags
    return []


def _check_length(sent: SentJob, terms: Terms) -> None:
    if not sent.text.strip():
        raise mute(None)
    check_length(terms, len(sent.text), "chapters" if sent.chapters else "input")
