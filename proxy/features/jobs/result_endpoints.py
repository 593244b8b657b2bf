"""/v1/jobs/{id}/content and /subtitles: the results of jobs."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from proxy import errors
from proxy.api.speech_headers import WORD_TIMES
from proxy.feature import RevisionContext
from proxy.features.jobs.core.content import ZIP
from proxy.features.jobs.core.fields import JOB_MEDIA_TYPES
from proxy.features.jobs.core.kind import JobKinds
from proxy.features.jobs.core.records import Job
from proxy.features.jobs.endpoints import JobResource
from proxy.features.jobs.kinds.training.kind import ONNX
from proxy.features.jobs.kinds.transcription.kind import MEDIA
from proxy.features.jobs.texts.subtitles import SUBTITLES
from proxy.http.endpoint import Query
from proxy.http.ranges import RANGE
from proxy.http.resource import endpoint

_CHAPTER = Query("chapter", "Only this chapter, the first of which is 1.")
_FORMAT = Query("format", "`srt`, if it is left out.", tuple(SUBTITLES))
_TEXT_FORMAT = Query("format", "Of a transcription: its own `response_format`, if left out.", tuple(MEDIA))
_FILE = Query(
    "file",
    "Of a dub: `track` (usual), `speech`, `bed`, `report.json`, `report.csv`, `receipt.json`. Else: `cover`.",
)
_TEXTS = dict.fromkeys(media.partition(";")[0] for media, _ in MEDIA.values())


class JobResults(JobResource):
    def __init__(self, kinds: JobKinds, revision: RevisionContext) -> None:
        super().__init__(kinds, revision.admin_tools)
        self._revision = revision

    @endpoint(
        "GET",
        "/v1/jobs/{id}/content",
        media=(*JOB_MEDIA_TYPES.values(), ZIP, ONNX, *_TEXTS, "text/csv", "image/png", "image/jpeg"),
        queries=(_CHAPTER, _TEXT_FORMAT, _FILE),
        failures=(
            errors.InvalidRequest,
            errors.NotFound,
            errors.Conflict,
            errors.RangeNotSatisfiable,
            errors.NoPlace,
            errors.DecodingFailed,
        ),
        request_headers=(RANGE,),
    )
    async def get_job_content(self, request: Request) -> Response:
        """The sound, text or voice that a job has made, or of one cut short what there is"""
        job = await self._find_ended_job(request, "result is")
        kind, file = self._kinds.kind_of(job), request.query_params.get("file")
        if file and file not in kind.result_files:
            known = f"one of {', '.join(kind.result_files)}" if kind.result_files else "left out for this job"
            raise errors.InvalidRequest(f"Invalid value for 'file': it must be {known}.", param="file")
        return await kind.content(job, request, self._revision)

    @endpoint(
        "GET",
        "/v1/jobs/{id}/subtitles",
        media=tuple(SUBTITLES.values()),
        queries=(_FORMAT, _CHAPTER),
        failures=(errors.InvalidRequest, errors.NotFound, errors.Conflict),
        some_headers={
            WORD_TIMES: "`interpolated`: for some of the text the engine told no times, so its words share "
            "the time of their sentence or piece by their letters. `heard`: the server has heard them."
        },
    )
    async def get_job_subtitles(self, request: Request) -> Response:
        """The text of a job that has ended, with the times at which it is heard"""
        format_ = request.query_params.get("format") or "srt"
        if format_ not in SUBTITLES:
            raise errors.InvalidRequest(
                "Invalid value for 'format': it must be one of srt, vtt.", param="format"
            )
        job = await self._find_ended_job(request, "subtitles are")
        return await self._kinds.kind_of(job).subtitles(job, request, format_)

    async def _find_ended_job(self, request: Request, result_is: str) -> Job:
        job = await self.find_job(request)
        if job.state == "open":
            raise errors.Conflict(f"The job goes on; its {result_is} there when it has ended.", param="id")
        return job
