"""Batches, whose steps are the lines of a file."""

from __future__ import annotations

import msgspec

from policies.plans import Terms
from proxy.access.callers import Caller
from proxy.errors import ErrorDetail
from proxy.features.jobs.core.ends import WINDOW_US
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.kind import JobKind, PlannedStep
from proxy.features.jobs.core.records import Job, JobStep
from proxy.features.jobs.kinds.batch.files import LineFailure
from proxy.features.jobs.kinds.batch.lines import request_body
from proxy.speech.speaking import Speaking
from proxy.speech.speech_request import Defaults, parse_speech


class LineJobs(JobKind):
    """A line has a voice of its own, and fails alone."""

    voice_gone = "The voice of this line is not here."
    fails_as_one = False
    is_checked_before = False
    window_us = WINDOW_US

    def __init__(self, files: JobFiles) -> None:
        self._files = files

    async def plan(
        self, job: Job, held: JobStep, speaking: Speaking, caller: Caller, terms: Terms
    ) -> PlannedStep:
        line = await self._files.piece(job.account, job.digest, held.first, held.last)
        request = parse_speech(request_body(line), Defaults(), speaking.plans.client_fields)
        return PlannedStep(await speaking.call(held.request, caller, request, terms))

    def kept_error(self, status: int, why: ErrorDetail) -> str:
        return msgspec.json.encode(LineFailure(status, why)).decode()
