"""A kind of jobs: how they are asked for, planned, shown, tried again, fetched and ended."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from policies.plans import Terms
from proxy.access.callers import Caller
from proxy.api.speech_forms import BackgroundRequest
from proxy.audio.formats import MEDIA_TYPES
from proxy.errors import Conflict, ErrorDetail
from proxy.feature import RevisionContext
from proxy.features.jobs.core import ends, records
from proxy.features.jobs.core.bodies import Progress
from proxy.features.jobs.core.content import StoredFile, whole_reply
from proxy.features.jobs.core.fields import Chapter, step_format
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.making import MadeJob
from proxy.features.jobs.core.records import Job, JobClip, JobStep, Kind
from proxy.features.jobs.core.spoken import spoken_reply
from proxy.speech.call import SpeechCall
from proxy.speech.speaking import Speaking
from proxy.storage.store import Statement


class JobKind(ABC):
    """The jobs of one kind, in a worker or in a command, which makes none.

    `body` is what asks for one in JSON; without, a form does. The refusals are for what a client cannot do.
    """

    name: Kind
    body: type[msgspec.Struct] | None = None
    events = ends.JOB_EVENTS
    retry_refusal = ""
    subtitles_refusal = ""

    def __init__(self, files: JobFiles) -> None:
        self.files = files
        self.store = files.store

    @abstractmethod
    async def make(
        self, request_: BackgroundRequest, at: RevisionContext, request: Request | None
    ) -> MadeJob:
        """Make a job. Its form, if it has one, is read from the request. Raises RequestFailed."""

    async def progress(self, jobs: Sequence[Job]) -> dict[str, Progress]:
        """Return how far jobs of this kind are."""
        made = await records.made(self.store, [job.id for job in jobs])
        return {job.id: Progress.of(made.get(job.id, records.Made())) for job in jobs}

    def chapters(self, job: Job) -> Sequence[Chapter]:
        return ()

    def shown_error(self, error: str) -> str:
        """Return what a step says of its last failure."""
        return error

    @abstractmethod
    async def content(self, job: Job, request: Request, at: RevisionContext) -> Response:
        """Answer with what was made of a job that has ended. Raises RequestFailed."""

    async def subtitles(self, job: Job, request: Request, format_: str) -> Response:
        """Answer with the text of a job that has ended, and its times. Raises RequestFailed."""
        raise Conflict(self.subtitles_refusal, param="id")

    async def step_content(self, job: Job, clip: JobClip, range_: str | None) -> Response:
        """Answer with the sound of a step. Raises RangeNotSatisfiable."""
        format_ = step_format(job.format)
        return whole_reply(
            StoredFile.of_blobs(self.files, [clip]), f"{clip.step}.{format_}", MEDIA_TYPES[format_], range_
        )

    def ended_with(self, job: Job, *, by_account: bool) -> Sequence[Statement]:
        """Return what is written in the commit in which somebody ends or deletes a job."""
        return ()

    async def ended(self, job: Job) -> None:
        """Do what follows after a job was canceled."""
        del job


class PlannedStep(NamedTuple):
    """A call, and how many characters of tags are in it before the step's piece of the text. The `consent`
    that it names must be there in the commit of its sound."""

    call: SpeechCall
    tags: int = 0
    consent: str | None = None


class SpokenKind(JobKind):
    """A kind whose steps are spoken. `voice_gone` is said where the voice is not here any more.

    If it `fails_as_one`, its steps end alike: a failed one ends the job. If it `is_checked_before`, a server
    has looked for the model before it took the job: a worker without that is not the only one.
    """

    voice_gone = "The voice of this job is not here any more."
    fails_as_one = True
    is_checked_before = True

    @abstractmethod
    async def plan(
        self, job: Job, held: JobStep, speaking: Speaking, caller: Caller, terms: Terms
    ) -> PlannedStep:
        """Plan a step. Raises RequestFailed, VaultFailed."""

    async def content(self, job: Job, request: Request, at: RevisionContext) -> Response:
        return await spoken_reply(self.files, job, request)

    async def has_expired(self, job: Job) -> bool:
        """Tell whether no step begins any more, after the job was ended for that."""
        return False

    def stored_error(self, status: int, why: ErrorDetail) -> str:
        """Return what a step's row keeps of its failure, which a request would have had with this status."""
        return why.message
