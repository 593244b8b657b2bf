"""/v1/jobs/{id}/steps: the steps of a job with their marks, and the sound of each step."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from proxy.audio.formats import MEDIA_TYPES
from proxy.config import credits
from proxy.errors import InvalidRequest, NotFound, RangeNotSatisfiable
from proxy.features.jobs.core import records
from proxy.features.jobs.core.fields import Chapter, chapter_number_at
from proxy.features.jobs.core.kind import JobKind
from proxy.features.jobs.core.wrong_words import WrongStep, wrong_words
from proxy.features.jobs.endpoints import JobResource
from proxy.features.marks import clip_facts
from proxy.features.marks.clip_facts import ClipFacts, ClipMark
from proxy.http.lists import PAGE, Listing, read_page
from proxy.http.ranges import RANGE
from proxy.http.resource import account_of, endpoint, second_path
from proxy.speech.part_check import WrongWords
from proxy.storage.rows import LAST_MOMENT, PagePlace
from proxy.storage.store import Params, Store
from proxy.storage.usage import CheckSums

_MOST_DIGITS = 9


class StepMark(ClipMark, frozen=True):
    """The inaudible mark in the sound: its plugin, and the id of its key."""


class ShownStep(msgspec.Struct, frozen=True, kw_only=True):
    """A step. It speaks the characters from `start` up to `end` of the job's `input`, or of its chapters one
    after the other; then it has the number and the title of its `chapter`. In a batch, these are the bytes of
    the line in its file, and in a conversion or transcription, the milliseconds of the recording.

    A step that `is_taken_over` has the sound of the job that was said again, for no credits.
    A step with sound has a `request`, for which `credits` were charged. Sound with a mark or a manifest has
    its `sha256`. `voice` is the requested one, and `voices` are the saved voices that spoke. `substitute` is
    the `x-voxgate-substitute` of an answer, or "". `check` has the numbers of a checked step, and `wrong` the
    words that stayed wrong, with their places in the text of the job, or of the line of a batch. Operators do
    not see the words.
    """

    id: str
    object: Literal["job.step"] = "job.step"
    number: int
    chapter: int | None
    chapter_title: str | None
    status: Literal["queued", "done", "failed", "canceled"]
    start: int
    end: int
    request: str | None
    seconds: float
    credits: float
    voice: str | None
    voices: list[str]
    substitute: str
    sha256: str | None
    mark: StepMark | None
    check: CheckSums | None
    wrong: Sequence[WrongWords]
    is_taken_over: bool
    error: str


class StepList(Listing, frozen=True, kw_only=True):
    """Steps, the first one first."""

    data: list[ShownStep]


class JobSteps(JobResource):
    """The endpoints of the steps of jobs, and of their sound."""

    @endpoint(
        "GET",
        "/v1/jobs/{id}/steps",
        StepList,
        queries=PAGE,
        failures=(NotFound, InvalidRequest),
        pace="list",
        also=second_path("/admin/jobs/{id}/steps", "list_job_steps_of"),
    )
    async def list_job_steps(self, request: Request) -> Response:
        """The steps of a job in their order, with their marks"""
        job = await self.find_job(request)
        store = self._store
        listed = await read_page(
            request, partial(_place_of, store, job.id), partial(_list_rows, store, job.id)
        )
        requests = [row.request for row in listed.rows if row.request is not None]
        facts = await clip_facts.facts_of_requests(store, job.account, requests)
        kind = self._kinds.kind_of(job)
        chapters = kind.chapters(job)
        wrong: dict[str, Sequence[WrongWords]] = {}
        # Operators do not see the words.
        rows_with_words = listed.rows if account_of(request) is not None else ()
        for row in rows_with_words:
            if row.told and (check := CheckSums.of_column(row.checked)) and check.wrong:
                step = WrongStep(row.number, row.first if kind.is_one_text else 0, row.told)
                wrong[row.id] = await wrong_words(self._kinds.files, job, step)
        return await listed.list_response(
            StepList,
            lambda row: _step_body(kind, row, chapters, facts.get(row.request or ""), wrong.get(row.id, ())),
        )

    @endpoint(
        "GET",
        "/v1/jobs/{id}/steps/{number}/content",
        media=tuple(dict.fromkeys(MEDIA_TYPES.values())),
        failures=(NotFound, RangeNotSatisfiable),
        request_headers=(RANGE,),
    )
    async def get_job_step_content(self, request: Request) -> Response:
        """The sound of a step as its `sha256` has it, or a range of it. Of a WAV it is PCM"""
        job, number = await self.find_job(request), request.path_params["number"]
        clip = None
        if number.isascii() and number.isdecimal() and len(number) <= _MOST_DIGITS:
            clip = await records.find_clip(self._store, records.step_id(job, int(number)))
        # Earlier versions did not store sound that is in the encoded file of its job.
        if clip is None or not clip.digest:
            raise NotFound("This step of the job has no sound.", param="number")
        return await self._kinds.kind_of(job).step_content(job, clip, request.headers.get("range"))


def _step_body(
    kind: JobKind,
    row: _StepRow,
    chapters: Sequence[Chapter],
    facts: ClipFacts | None,
    wrong: Sequence[WrongWords],
) -> ShownStep:
    chapter = chapter_number_at(chapters, row.first)
    return ShownStep(
        id=row.id,
        number=row.number,
        chapter=chapter,
        chapter_title=None if chapter is None else chapters[chapter - 1].title,
        status="queued" if row.state == "wanted" else row.state,
        start=row.first,
        end=row.last,
        request=row.request,
        seconds=round(row.samples / row.sample_rate_hz, 3) if row.samples and row.sample_rate_hz else 0.0,
        credits=credits.to_credits(row.credits or 0),
        voice=row.voice,
        voices=(row.voices or "").split(),
        substitute=row.substitute or "",
        sha256=None if facts is None else facts.sha256,
        mark=StepMark(facts.mark, facts.mark_key) if facts and facts.mark else None,
        check=CheckSums.of_column(row.checked),
        wrong=wrong,
        is_taken_over=bool(row.taken),
        error=kind.shown_error(row.error),
    )


class _StepRow(msgspec.Struct, frozen=True, kw_only=True):
    """A step, and its sound if there is any: then it has the `request` that was charged. `voice`,
    `substitute` and `checked` are those of its row in usage. `voices` are the saved voices, each between
    blanks. `told` is the digest of the report about the sound. If `taken` names the step of an earlier job,
    the sound is that step's."""

    id: str
    number: int
    first: int
    last: int
    state: Literal["wanted", "done", "failed", "canceled"]
    error: str
    request: str | None
    samples: int | None
    sample_rate_hz: int | None
    voices: str | None
    voice: str | None
    substitute: str | None
    credits: int | None
    checked: str | None
    told: str | None
    taken: str | None


_SELECT = """
SELECT job_steps.id, job_steps.number, job_steps.first, job_steps.last, job_steps.state, job_steps.error,
    job_clips.request, job_clips.samples, job_clips.sample_rate_hz, job_clips.voices,
    usage.voice, usage.substitute, usage.checked, job_clips.told, job_clips.taken,
    CASE WHEN job_clips.taken = '' THEN usage.credits ELSE 0 END AS credits
FROM job_steps LEFT JOIN job_clips ON job_clips.step = job_steps.id
LEFT JOIN usage ON usage.id = job_clips.request
WHERE job_steps.job = :job AND job_steps.kind = 'speech' AND job_steps.number > :number
ORDER BY job_steps.number LIMIT :limit
"""
_NUMBER = "SELECT number FROM job_steps WHERE id = :id AND job = :job"


async def _list_rows(store: Store, job: str, place: PagePlace, limit: int) -> Sequence[_StepRow]:
    """List the steps of a job after a place, the first one first. A `PagePlace` counts down, as for lists
    with the newest row first."""
    params: Params = {"job": job, "number": LAST_MOMENT - place.at, "limit": limit}
    return msgspec.convert(await store.read_long(_SELECT, params), list[_StepRow])


async def _place_of(store: Store, job: str, id_: str) -> PagePlace | None:
    """Find the place of a step of a job."""
    rows = await store.read(_NUMBER, {"id": id_, "job": job})
    return PagePlace(LAST_MOMENT - rows[0]["number"], id_) if rows else None
