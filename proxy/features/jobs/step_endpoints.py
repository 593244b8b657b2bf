"""/v1/jobs/{id}/steps: what was spoken of a job, with marks and receipts, and the sound of each step."""

from __future__ import annotations

from functools import partial
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from proxy.api.admin_tools import AdminTools
from proxy.audio.formats import MEDIA_TYPES
from proxy.catalogue.clip_receipts import ClipReceipt, ClipReceipts
from proxy.config import credits
from proxy.errors import InvalidRequest, NotFound, RangeNotSatisfiable
from proxy.features.jobs import step_rows
from proxy.features.jobs.core import records
from proxy.features.jobs.core.content import RANGE, JobSound, whole_reply
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.records import Job
from proxy.features.jobs.core.steps import Steps
from proxy.features.jobs.endpoints import JobTools
from proxy.features.jobs.kinds.batch.files import clip_reply, why
from proxy.features.jobs.kinds.speech.chapters import Chapter, chapter_of
from proxy.features.jobs.kinds.speech.request import SentFields, step_format
from proxy.features.jobs.step_rows import StepRow
from proxy.http.lists import PAGE, Listing, page
from proxy.http.resource import Resource, answers

_MOST_DIGITS = 9


class StepMark(msgspec.Struct, frozen=True):
    """The inaudible mark in the sound: its plugin, and the id of its key."""

    plugin: str
    key: str


class ShownStep(msgspec.Struct, frozen=True, kw_only=True):
    """A step: it speaks the characters from `start` up to `end` of the job's `input`, or of its chapters one
    after the other, where it is in this `chapter`; of a batch the line from this byte of its file; of a
    conversion the recording between these milliseconds.

    With sound it has a `request`, for which `credits` were charged, and perhaps a `receipt`, at this path,
    which signs `sha256` and `mark`. `voice` is what was asked for, and `voices` are the saved ones in it;
    `substitute` is what an answer tells in `x-voxgate-substitute`, "" for nothing.
    """

    id: str
    object: Literal["job.step"] = "job.step"
    number: int
    chapter: int | None
    status: Literal["queued", "done", "failed", "canceled"]
    start: int
    end: int
    request: str | None
    seconds: float
    credits: float
    voice: str | None
    voices: list[str]
    substitute: str
    receipt: str | None
    sha256: str | None
    mark: StepMark | None
    error: str


class StepList(Listing, frozen=True, kw_only=True):
    """Steps, the first one first."""

    data: list[ShownStep]


class JobSteps(JobTools, Resource):
    """What became of the steps of jobs."""

    def __init__(
        self, tools: AdminTools, files: JobFiles, steps: Steps | None, receipts: ClipReceipts
    ) -> None:
        super().__init__(tools, files, steps)
        self._receipts = receipts

    @answers("GET", "/v1/jobs/{id}/steps", StepList, queries=PAGE, failures=(NotFound, InvalidRequest))
    @answers(
        "GET",
        "/admin/jobs/{id}/steps",
        StepList,
        queries=PAGE,
        failures=(NotFound, InvalidRequest),
        name="list_job_steps_of",
    )
    async def list_job_steps(self, request: Request) -> Response:
        """The steps of a job in their order, with receipts and marks"""
        job = await self.found(request)
        store = self._store
        listed = await page(
            request, partial(step_rows.place_of, store, job.id), partial(step_rows.page, store, job.id)
        )
        requests = [row.request for row in listed.rows if row.request is not None]
        receipts = await self._receipts.of_requests(job.account, requests)
        chapters: tuple[Chapter, ...] = ()
        if job.kind == "speech":
            fields = self._tools.vault.open_record(job.account, job.id, job.record, SentFields)
            chapters = fields.chapters
        return listed.answer(
            StepList,
            lambda row: _shown(job, row, chapter_of(chapters, row.number), receipts.get(row.request or "")),
        )

    @answers(
        "GET",
        "/v1/jobs/{id}/steps/{number}/content",
        media=tuple(dict.fromkeys(MEDIA_TYPES.values())),
        failures=(NotFound, RangeNotSatisfiable),
        request_headers=(RANGE,),
    )
    async def get_job_step_content(self, request: Request) -> Response:
        """The sound of a step as its receipt has it, or a range of it. Of a WAV it is PCM"""
        job, number = await self.found(request), request.path_params["number"]
        clip = None
        if number.isascii() and number.isdecimal() and len(number) <= _MOST_DIGITS:
            clip = await records.find_clip(self._store, records.step_id(job, int(number)))
        # What is in the encoded file of its job is not kept beside it.
        if clip is None or not clip.digest:
            raise NotFound("This step of the job has no sound.", param="number")
        if job.kind == "batch":
            return await clip_reply(self._files, clip, request.headers.get("range"))
        format_ = step_format(job.format)
        sound = JobSound(self._files, [clip])
        return whole_reply(
            sound, f"{clip.step}.{format_}", MEDIA_TYPES[format_], request.headers.get("range")
        )


def _shown(job: Job, row: StepRow, chapter: int | None, receipt: ClipReceipt | None) -> ShownStep:
    return ShownStep(
        id=row.id,
        number=row.number,
        chapter=chapter,
        status="queued" if row.state == "wanted" else row.state,
        start=row.first,
        end=row.last,
        request=row.request,
        seconds=round(row.samples / row.sample_rate_hz, 3) if row.samples and row.sample_rate_hz else 0.0,
        credits=credits.number(row.credits or 0),
        voice=row.voice,
        voices=(row.voices or "").split(),
        substitute=row.substitute or "",
        receipt=None if receipt is None else receipt.path,
        sha256=None if receipt is None else receipt.sha256,
        mark=StepMark(receipt.mark, receipt.mark_key) if receipt and receipt.mark else None,
        error=why(row.error) if job.kind == "batch" else row.error,
    )
