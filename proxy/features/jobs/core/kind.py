"""Kinds of jobs: how they are requested, planned, shown, tried again, fetched and ended."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from policies.plans import Terms
from proxy.access.callers import Caller
from proxy.api.speech_forms import BackgroundRequest
from proxy.audio.formats import MEDIA_TYPES
from proxy.errors import Conflict, ErrorDetail, InvalidRequest
from proxy.feature import RevisionContext
from proxy.features.jobs.core import ends, records
from proxy.features.jobs.core.bodies import Progress, ShownJob, shown_job
from proxy.features.jobs.core.content import spoken_reply, whole_reply
from proxy.features.jobs.core.fields import Chapter, SealedFields, step_format
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.making import MadeJob
from proxy.features.jobs.core.records import Job, JobClip, JobStep, Kind
from proxy.features.jobs.core.wrong_words import warnings
from proxy.file_store.sealed_blobs import StoredFile
from proxy.file_store.vault import VaultFailed
from proxy.http.form import RequestForm
from proxy.speech.call import SpeechCall
from proxy.speech.speaking import Speaking
from proxy.storage.rows import in_turns
from proxy.storage.store import Statement

JobUpload = tuple[RequestForm, bytes]
"""A form, and its recording."""


class JobKind(ABC):
    """The jobs of one kind, in a worker or in a command, which makes none. `body` is the JSON of a request;
    without it, a request is a form. The refusals are for operations that the kind lacks."""

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
        self, background: BackgroundRequest, at: RevisionContext, upload: JobUpload | None
    ) -> MadeJob:
        """Make a job. A kind without a `body` gets an `upload`. Raises RequestFailed."""

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
        """Return the statements for the commit in which an account or an operator ends or deletes a job."""
        return ()

    async def ended(self, job: Job) -> None:
        """Do what follows after a job was canceled."""
        del job


class StepKind(JobKind):
    """A kind whose steps `Steps` works on. `voice_gone` is the message when the voice was deleted. If it
    `fails_as_one`, a failed step ends the job. If it `is_checked_before`, a server has found the model before
    it accepted the job, so a worker without that model leaves the step to others."""

    voice_gone = "The voice of this job is not here any more."
    fails_as_one = True
    is_checked_before = True

    async def has_expired(self, job: Job) -> bool:
        """Tell whether the job has expired, after ending it: then no further step begins."""
        return False

    def stored_error(self, status: int, why: ErrorDetail) -> str:
        """Return the stored form of a step's failure. `status` is the status that a request would have
        had."""
        return why.message


class EngineAttempt(Protocol):
    was_dispatched: bool


class StepAttempt:
    """An attempt at a step. Once it is planned, it has the `engine_attempts` so far. `has_lost`: it is being
    cancelled because the step is not ours any more."""

    engine_attempts: Sequence[EngineAttempt] = ()

    def __init__(self, has_lost: Callable[[], bool]) -> None:
        self.has_lost = has_lost

    @property
    def has_reached_engine(self) -> bool:
        return any(each.was_dispatched for each in self.engine_attempts)


class TextKind(StepKind):
    """A kind whose steps make text. The kind holds and settles each itself."""

    @abstractmethod
    async def write_step(
        self, job: Job, held: JobStep, caller: Caller, terms: Terms, attempt: StepAttempt
    ) -> None:
        """Make the text of a step, and commit it with its charge. Raises RequestFailed, VaultFailed,
        StorageFailed."""


class PlannedStep(NamedTuple):
    """The call of a step. `tags` is the number of characters of tags before the step's piece of the text. If
    there is a `consent`, it must still exist in the commit of the sound."""

    call: SpeechCall
    tags: int = 0
    consent: str | None = None


class SpokenKind(StepKind):
    """A kind whose steps are spoken."""

    @abstractmethod
    async def plan(
        self, job: Job, held: JobStep, speaking: Speaking, caller: Caller, terms: Terms
    ) -> PlannedStep:
        """Plan a step. Raises RequestFailed, VaultFailed."""

    async def content(self, job: Job, request: Request, at: RevisionContext) -> Response:
        return await spoken_reply(self.files, job, request)


_MOST_NAME_BYTES = 100


class _Named(msgspec.Struct, frozen=True):
    kind: msgspec.Raw = msgspec.Raw(b"")


_decode = msgspec.json.Decoder(_Named).decode


class JobKinds:
    """The kinds of a worker or of a command. The first one is for requests that name no kind."""

    def __init__(self, files: JobFiles, kinds: Sequence[JobKind]) -> None:
        self.all = kinds
        self.files = files
        self.usual = kinds[0]
        self._by_name: dict[Kind, JobKind] = {kind.name: kind for kind in kinds}
        self._by_json = {msgspec.json.encode(kind.name): kind for kind in kinds if kind.body is not None}
        self._by_form = [kind for kind in kinds if kind.body is None]

    def of(self, job: Job) -> JobKind:
        return self._by_name[job.kind]

    def named_in(self, body: bytes) -> JobKind:
        """Return the kind of a JSON body. It reads every byte, so run it in a thread."""
        try:
            name = _decode(body).kind
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self.usual  # its `make` reads the body again, and raises the fault
        return self._by_json.get(bytes(memoryview(name)[:_MOST_NAME_BYTES]), self.usual)

    def of_form(self, form: RequestForm) -> JobKind:
        """Return the kind of a form. Raises InvalidRequest."""
        named = form.fields.get("kind", [""])
        kind = next((kind for kind in self._by_form if named == [kind.name]), None)
        if kind is None:
            names = " or ".join(kind.name for kind in self._by_form)
            code = "missing_required_parameter" if named == [""] else None
            raise InvalidRequest(f"Invalid value for 'kind': it must be {names}.", param="kind", code=code)
        return kind

    async def shown(self, jobs: Sequence[Job]) -> list[ShownJob]:
        """Return these jobs as answers show them, in the same order."""
        progress = dict[str, Progress]()
        for kind in self.all:
            if own := [job for job in jobs if self.of(job) is kind]:
                progress |= await kind.progress(own)
        canceled = [job.id for job in jobs if job.state == "canceled"]
        settling = await records.under_way(self.files.store, canceled)
        for id_ in settling:
            progress[id_] = progress[id_]._replace(is_settling=True)
        return await in_turns(lambda job: shown_job(job, self._fields(job), progress[job.id]), jobs)

    def _fields(self, job: Job) -> SealedFields:
        try:
            return self.files.vault.open_record(job.account, job.id, job.record, SealedFields)
        except VaultFailed:
            return SealedFields()  # no reason to hide the job

    async def shown_one(self, job: Job, *, is_own: bool = False) -> ShownJob:
        """Return a job with warnings of what was said wrong. Their words are shown to its account alone."""
        (shown,) = await self.shown([job])
        if job.state == "open":
            return shown
        try:
            chapters = self.of(job).chapters(job)
        except VaultFailed:
            chapters = ()
        wrong = await warnings(self.files, job, chapters, is_own=is_own)
        return replace(shown, warnings=(*shown.warnings, *wrong))
