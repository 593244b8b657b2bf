"""/v1/jobs/{id}/content and /subtitles: what a job has made, as a whole or by chapter."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from proxy.audio.formats import MEDIA_TYPES
from proxy.errors import Conflict, InvalidRequest, NoPlace, NotFound, RangeNotSatisfiable
from proxy.feature import RevisionContext
from proxy.features.jobs.core.content import RANGE, ZIP
from proxy.features.jobs.core.fields import FORMATS
from proxy.features.jobs.core.kinds import JobKinds
from proxy.features.jobs.core.records import Job
from proxy.features.jobs.endpoints import JobResource
from proxy.features.jobs.kinds.speech.subtitles import SUBTITLES
from proxy.features.jobs.kinds.training.kind import ONNX
from proxy.http.endpoint import Query
from proxy.http.resource import endpoint

_CHAPTER = Query("chapter", "Only this chapter, the first of which is 1.")
_FORMAT = Query("format", "`srt`, if it is left out.", tuple(SUBTITLES))


class JobResults(JobResource):
    """What accounts get of their jobs."""

    def __init__(self, kinds: JobKinds, at: RevisionContext) -> None:
        super().__init__(kinds, at.admin_tools)
        self._at = at

    @endpoint(
        "GET",
        "/v1/jobs/{id}/content",
        media=(*(MEDIA_TYPES[name] for name in FORMATS), ZIP, ONNX),
        queries=(_CHAPTER,),
        failures=(InvalidRequest, NotFound, Conflict, RangeNotSatisfiable, NoPlace),
        request_headers=(RANGE,),
    )
    async def get_job_content(self, request: Request) -> Response:
        """The sound of a job that has ended, or of one cut short what there is. Of a training, its voice"""
        job = await self._ended(request, "sound is")
        return await self._kinds.of(job).content(job, request, self._at)

    @endpoint(
        "GET",
        "/v1/jobs/{id}/subtitles",
        media=tuple(SUBTITLES.values()),
        queries=(_FORMAT, _CHAPTER),
        failures=(InvalidRequest, NotFound, Conflict),
    )
    async def get_job_subtitles(self, request: Request) -> Response:
        """The text of a job that has ended, with the times at which it is heard"""
        format_ = request.query_params.get("format") or "srt"
        if format_ not in SUBTITLES:
            raise InvalidRequest("Invalid value for 'format': it must be one of srt, vtt.", param="format")
        job = await self._ended(request, "subtitles are")
        return await self._kinds.of(job).subtitles(job, request, format_)

    async def _ended(self, request: Request, what: str) -> Job:
        job = await self.found(request)
        if job.state == "open":
            raise Conflict(f"The job goes on; its {what} there when it has ended.", param="id")
        return job
