"""Kinds of jobs: how they are requested, planned, shown, tried again, fetched and ended."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, NamedTuple, Protocol

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from policies.plans import Terms
from proxy.access.callers import Caller
from proxy.api.speech_forms import BackgroundRequest
from proxy.audio.formats import MEDIA_TYPES
from proxy.errors import Conflict, ErrorDetail, InvalidRequest, ServerBusy
from proxy.feature import RevisionContext
from proxy.features.jobs.core import ends, records, uploads
from proxy.features.jobs.core.again import AgainBody
from proxy.features.jobs.core.bodies import Progress, ShownJob, shown_job
from proxy.features.jobs.core.content import spoken_reply, whole_reply
from proxy.features.jobs.core.encoding import FileMaking
from proxy.features.jobs.core.fields import Chapter, SealedFields, StepFields, step_format
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.m4b_facts import M4bFacts
from proxy.features.jobs.core.making import MadeJob
from proxy.features.jobs.core.paces import Spoken
from proxy.features.jobs.core.previews import JobPreview
from proxy.features.jobs.core.records import Job, JobClip, JobStep, Kind
from proxy.features.jobs.core.wrong_words import warnings
from proxy.file_store.sealed_blobs import StoredFile
from proxy.file_store.vault import VaultFailed
from proxy.http.form import RequestForm
from proxy.speech.call import SpeechCall
from proxy.speech.speaking import Speaking
from proxy.storage.rows import map_in_turns
from proxy.storage.store import Statement

JobUpload = tuple[RequestForm, bytes]
"""A form, and its recording."""
Words = Mapping[str, Mapping[str, str]]
"""Texts for people by language, such as `en`, and there by what they name: "kind" or a column."""
Columns = Mapping[str, str | float]
_NOT_AGAIN = "Jobs of this kind have no preview, and are not said again."
ABSENT = "This server has no jobs of this kind now: its feature is off."


class JobKind:
    """The jobs of one kind, in a worker or in a command, which makes none. POST /v1/jobs makes a job of the
    JSON `body`, or of the `form`; without both, another endpoint makes it. The refusals are for operations
    that the kind lacks. The console and the command line have the `words` of our own kinds, and take those of
    other kinds from here. If it `is_one_text`, the steps of a job are places in one text. If it
    `can_repeat`, jobs have a preview, and what was spoken can be taken over by another job."""

    name: Kind
    body: type[msgspec.Struct] | None = None
    form: type[msgspec.Struct] | None = None
    form_fields: frozenset[str] = frozenset()
    words: ClassVar[Words] = {}
    events = ends.JOB_EVENTS
    is_one_text = False
    can_repeat = False
    retry_refusal = ""
    subtitles_refusal = ""

    def __init__(self, files: JobFiles) -> None:
        self.files = files
        self.store = files.store

    async def make(
        self, background: BackgroundRequest, at: RevisionContext, upload: JobUpload | None
    ) -> MadeJob:
        """Make a job. A kind without a `body` gets an `upload`. Raises RequestFailed."""
        raise Conflict(ABSENT, param="kind")

    async def progress(self, jobs: Sequence[Job]) -> dict[str, Progress]:
        """Return how far jobs of this kind are."""
        made = await records.made(self.store, [job.id for job in jobs])
        return {job.id: Progress.of(made.get(job.id, records.Made())) for job in jobs}

    async def preview(self, background: BackgroundRequest, at: RevisionContext) -> JobPreview:
        """Return what a job of this request will say and cost. Raises RequestFailed."""
        raise Conflict(_NOT_AGAIN, param="kind")

    async def say_again(
        self, background: BackgroundRequest, job: Job, body: AgainBody, at: RevisionContext
    ) -> MadeJob:
        """Make a job that says a part of one that has ended again. Raises RequestFailed."""
        raise Conflict(_NOT_AGAIN, param="id")

    async def preview_again(
        self, background: BackgroundRequest, job: Job, body: AgainBody, at: RevisionContext
    ) -> JobPreview:
        """Return what `say_again` will say and cost. Raises RequestFailed."""
        raise Conflict(_NOT_AGAIN, param="id")

    def chapters(self, job: Job) -> Sequence[Chapter]:
        return ()

    def columns(self, job: Job) -> Columns:
        """Return more facts of a job, which answers, the console and the command line show. They are named in
        `words`. Raises VaultFailed."""
        return {}

    async def facts(self, job: Job) -> M4bFacts:
        """Return what an audiobook of a job says of itself. Raises VaultFailed."""
        fields = self.files.vault.open_record(job.account, job.id, job.record, StepFields)
        cover = await uploads.held_content(self.files, job.account, fields.cover)  # without one, it is empty
        return M4bFacts(
            title=fields.title,
            narrators=(fields.voice,) if fields.voice else (),
            language=fields.language or msgspec.json.decode(fields.sent.get("language", b"null")) or "",
            cover=await cover.read_whole(),
        )

    async def make_files(self, making: FileMaking, job: Job, clips: Sequence[JobClip]) -> None:
        """Make the files of a job whose steps are done. Raises as `MakeFiles` says."""
        await making.make_joined(clips)

    async def end_warnings(self, job: Job) -> Sequence[str]:
        """Return what an account should know of a job that has ended."""
        return ()

    def shown_error(self, error: str) -> str:
        """Return what a step says of its last failure."""
        return error

    async def content(self, job: Job, request: Request, at: RevisionContext) -> Response:
        """Answer with what was made of a job that has ended. Raises RequestFailed."""
        raise Conflict(ABSENT, param="id")

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


class AbsentKind(JobKind):
    """Stands for the kind of a feature that is off. Its jobs can be seen, ended and deleted."""

    retry_refusal = subtitles_refusal = ABSENT


class StepKind(JobKind):
    """A kind whose steps `Steps` works on. `voice_gone` is the message when the voice was deleted. If it
    `fails_as_one`, a failed step ends the job. If it `is_checked_before`, a server has found the model before
    it accepted the job, so a worker without that model leaves the step to others."""

    voice_gone = "The voice of this job is not here any more."
    is_done_with_clip = True
    """Whether nothing follows the commit of a step's sound or text but the end of the step."""
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
    """An attempt at a step. Once it is planned, it has the `engine_attempts` so far, and in the end what was
    `spoken`. `has_lost`: it is being cancelled because the step is not ours any more."""

    engine_attempts: Sequence[EngineAttempt] = ()
    spoken: Sequence[Spoken] = ()

    def __init__(self, has_lost: Callable[[], bool]) -> None:
        self.has_lost = has_lost

    @property
    def has_reached_engine(self) -> bool:
        return any(each.was_dispatched for each in self.engine_attempts)


class TextKind(StepKind, ABC):
    """A kind whose steps make text. The kind holds and settles each itself."""

    @abstractmethod
    async def write_step(
        self, job: Job, held: JobStep, caller: Caller, terms: Terms, attempt: StepAttempt
    ) -> None:
        """Make the text of a step, and commit it with its charge. Raises RequestFailed, VaultFailed,
        StorageFailed."""


class PlannedStep(NamedTuple):
    """The call of a step. `tags` is the number of characters of tags before the step's piece of the text. If
    there is a `consent`, it must still exist in the commit of the sound. If clips of the job `source` may
    have the same sound, the step takes over one of them."""

    call: SpeechCall
    tags: int = 0
    consent: str | None = None
    source: str = ""


class SpokenKind(StepKind, ABC):
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
    """The kinds of a worker or of a command, and those of later features. The `usual` one is for requests
    that name no kind. `with_steps` are those whose steps `Steps` works on."""

    def __init__(self, files: JobFiles, kinds: Sequence[JobKind]) -> None:
        self.files = files
        self.usual = kinds[0]
        self.with_steps: dict[Kind, StepKind] = {}
        self._by_name: dict[Kind, JobKind] = {}
        self._by_json: dict[bytes, JobKind] = {}
        self._absent = AbsentKind(files)
        for kind in kinds:
            self.add_kind(kind)

    def add_kind(self, kind: JobKind) -> None:
        """Add a kind of jobs. A feature calls it while it opens: `context.find(JobKinds)`."""
        self._by_name[kind.name] = kind
        if kind.body is not None:
            self._by_json[msgspec.json.encode(kind.name)] = kind
        if isinstance(kind, StepKind):
            self.with_steps[kind.name] = kind

    @property
    def bodies(self) -> tuple[type[msgspec.Struct], ...]:
        return tuple(kind.body for kind in self._by_name.values() if kind.body is not None)

    @property
    def preview_bodies(self) -> tuple[type[msgspec.Struct], ...]:
        kinds = self._by_name.values()
        return tuple(kind.body for kind in kinds if kind.body is not None and kind.can_repeat)

    @property
    def with_forms(self) -> dict[str, type[msgspec.Struct]]:
        return {kind.name: kind.form for kind in self._by_name.values() if kind.form is not None}

    @property
    def form_fields(self) -> frozenset[str]:
        return frozenset().union(*(kind.form_fields for kind in self._by_name.values()))

    def of(self, job: Job) -> JobKind:
        return self._by_name.get(job.kind, self._absent)

    async def facts_of(self, job: Job) -> M4bFacts:
        """Return what an audiobook of a job says of itself. Raises VaultFailed."""
        return await self.of(job).facts(job)

    async def make_files(self, making: FileMaking, job: Job, clips: Sequence[JobClip]) -> None:
        if (kind := self.of(job)) is self._absent:
            raise ServerBusy(ABSENT)  # another server may have the feature, or this one later
        await kind.make_files(making, job, clips)

    def named_in(self, body: bytes) -> JobKind:
        """Return the kind of a JSON body. It reads every byte, so run it in a thread."""
        try:
            name = _decode(body).kind
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self.usual  # its `make` reads the body again, and raises the fault
        return self._by_json.get(bytes(memoryview(name)[:_MOST_NAME_BYTES]), self.usual)

    def of_form(self, form: RequestForm) -> JobKind:
        """Return the kind of a form. Raises InvalidRequest."""
        named, forms = form.fields.get("kind", [""]), self.with_forms
        if len(named) != 1 or named[0] not in forms:
            code = "missing_required_parameter" if named == [""] else None
            message = f"Invalid value for 'kind': it must be {' or '.join(forms)}."
            raise InvalidRequest(message, param="kind", code=code)
        return self._by_name[named[0]]

    async def shown(self, jobs: Sequence[Job]) -> list[ShownJob]:
        """Return these jobs as answers show them, in the same order."""
        progress = dict[str, Progress]()
        for kind in (*self._by_name.values(), self._absent):
            if own := [job for job in jobs if self.of(job) is kind]:
                progress |= await kind.progress(own)
        canceled = [job.id for job in jobs if job.state == "canceled"]
        settling = await records.under_way(self.files.store, canceled)
        for id_ in settling:
            progress[id_] = progress[id_]._replace(is_settling=True)
        return await map_in_turns(lambda job: self._shown(job, progress[job.id]), jobs)

    def _shown(self, job: Job, progress: Progress) -> ShownJob:
        kind = self.of(job)
        shown = shown_job(job, self._fields(job), progress)
        if not kind.words:
            return shown
        try:
            return replace(shown, words=kind.words, columns=kind.columns(job))
        except VaultFailed:
            return replace(shown, words=kind.words)  # no reason to hide the job

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
        is_one_text = self.of(job).is_one_text
        wrong = await warnings(self.files, job, chapters, is_one_text=is_one_text, is_own=is_own)
        return replace(shown, warnings=(*shown.warnings, *await self.of(job).end_warnings(job), *wrong))
