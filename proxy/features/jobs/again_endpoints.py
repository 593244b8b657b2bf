"""/v1/jobs/preview and /v1/jobs/{id}/again: the preview of a job, and a new job that speaks a part of an
ended one again."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from proxy import errors
from proxy.access.callers import caller_of
from proxy.api.answering import TAG
from proxy.api.speech import SPEECH_FAILURES
from proxy.api.speech_forms import BackgroundRequest
from proxy.feature import RevisionContext
from proxy.features.jobs.core.again import MOST_BODY_BYTES as MOST_AGAIN_BYTES
from proxy.features.jobs.core.again import AgainBody
from proxy.features.jobs.core.bodies import ShownJob
from proxy.features.jobs.core.kind import JobKinds
from proxy.features.jobs.core.previews import JobPreview
from proxy.features.jobs.endpoints import ClientJobs, JobResource
from proxy.features.jobs.kinds.speech.request import MOST_BODY_BYTES
from proxy.helpers.limiter import FairLimiter
from proxy.http.body import connection_of, read_body, read_raw_body
from proxy.http.idempotency import KEY_HEADER
from proxy.http.replies import reply
from proxy.http.resource import endpoint
from proxy.speech.speech_request import Defaults

_PLACES, _OF_ACCOUNT, _AT_ONCE = 8, 2, 2


def preview_places() -> FairLimiter:
    """Return the places of previews: an account may hold two, and has one turn at a time."""
    return FairLimiter("previews of jobs", places=_PLACES, of_account=_OF_ACCOUNT, at_once=_AT_ONCE)


class JobAgain(JobResource):
    def __init__(
        self, kinds: JobKinds, client: ClientJobs, places: FairLimiter, revision: RevisionContext
    ) -> None:
        super().__init__(kinds, revision.admin_tools)
        assert revision.speaking is not None, "a worker speaks"
        self._client, self._places, self._revision = client, places, revision
        self._admission = revision.speaking.admission

    @endpoint(
        "POST",
        "/v1/jobs/preview",
        JobPreview,
        failures=(errors.NotFound, errors.Conflict, errors.NoPlace, *SPEECH_FAILURES),
        pace="own",
    )
    async def preview_job(self, request: Request) -> Response:
        """What a job would say, how long that takes, and what it costs. Nothing is spoken"""
        raw = await read_raw_body(request, MOST_BODY_BYTES)
        background = replace(await self._for_preview(request), body=raw)
        kind = await asyncio.to_thread(self._kinds.kind_named_in, raw)
        async with self._places.hold_turn(background.caller.account):
            with connection_of(request).stop_when_client_leaves():
                return reply(await kind.preview(background, self._revision))

    @endpoint(
        "POST",
        "/v1/jobs/{id}/again",
        JobPreview,
        accepted=ShownJob,
        body=AgainBody,
        failures=(
            errors.NotFound,
            errors.Conflict,
            errors.IdempotencyKeyReused,
            errors.NoPlace,
            *SPEECH_FAILURES,
        ),
        request_headers=(KEY_HEADER, TAG),
        pace="own",
    )
    async def say_job_again(self, request: Request) -> Response:
        """Say a part of an ended job again: a new job takes over the rest for nothing"""
        job = await self.find_job(request)
        again = await read_body(request, AgainBody, MOST_AGAIN_BYTES)
        if job.ended is None:
            raise errors.Conflict("The job goes on; it is said again when it has ended.", param="id")
        kind = self._kinds.kind_of(job)
        if again.preview:
            background = await self._for_preview(request)
            async with self._places.hold_turn(job.account):
                with connection_of(request).stop_when_client_leaves():
                    return reply(await kind.preview_again(background, job, again, self._revision))
        background = await self._client.admit_request(request)
        new_job, headers = await kind.say_again(background, job, again, self._revision)
        return await self._client.accept(new_job, headers)

    async def _for_preview(self, request: Request) -> BackgroundRequest:
        """Build the request of a preview, and count it for the rate limit of files. Raises RateLimited."""
        caller, server = caller_of(request.scope), self._revision.config.server
        await self._admission.counter.count("file", request.scope)
        defaults = Defaults.of(server)
        if caller.preferred_voice:
            assert self._revision.speaking is not None, "a worker speaks"
            defaults = await self._revision.speaking.defaults_of(caller, defaults)
        id_ = request.scope["state"]["request_id"]
        terms = self._admission.terms(caller)
        return BackgroundRequest(id_, self._admission, caller, terms, b"", defaults, None)
