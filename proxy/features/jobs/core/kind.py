"""The interface of a kind of jobs: it makes jobs of its requests, plans their steps, shows them, and serves
their results."""

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
from proxy.errors import Conflict, ErrorDetail, InvalidRequest, NotFound, ServerBusy
from proxy.feature import RevisionContext
from proxy.features.jobs.core import ends, records, uploads
from proxy.features.jobs.core.again import AgainBody
from proxy.features.jobs.core.bodies import Progress, ShownJob, shown_job
from proxy.features.jobs.core.content import sound_reply, whole_reply
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
"""Texts for people: by language, such as `en`, and then by the thing that they name, "kind" or a column."""
Columns = Mapping[str, str | float]
_NOT_AGAIN = "Jobs of this kind have no preview, and are not said again."
ABSENT = "This server has no jobs of this kind now: its feature is off."


class JobKind:
    """The jobs of one kind, in a worker or in a command. A command makes none.

    POST /v1/jobs makes a job of the JSON `body`, or of the `form`. Without both, another endpoint makes it.
    A refusal is the message for an operation that the kind does not have, or "". The console and the command
    line know the words of the built-in kinds, and show the `words` of others. If it `is_one_text`, the steps
    of a job are places in one text. If it `can_repeat`, its jobs have a preview, and another job can take
    over their clips. `result_files` are the names that GET /v1/jobs/{id}/content takes as its `file`.
    """

    name: Kind
    body: type[msgspec.Struct] | None = None
    form: type[msgspec.Struct] | None = None
    form_fields: frozenset[str] = frozenset()
    words: ClassVar[Words] = {}
    events = ends.JOB_EVENTS
    is_one_text = False
    can_repeat = False
    result_files: tuple[str, ...] = ()
    retry_refusal = ""
    subtitles_refusal = ""

    def __init__(self, files: JobFiles) -> None:
        self.files = files
        self.store = files.store

    async def make(
        self, background: BackgroundRequest, revision: RevisionContext, upload: JobUpload | None
    ) -> MadeJob:
        """Make a job of a request. A kind with a form gets its `upload`. Raises RequestFailed."""
        raise Conflict(ABSENT, param="kind")

    async def progress(self, jobs: Sequence[Job]) -> dict[str, Progress]:
        """Return the progress of jobs of this kind."""
        made = await records.read_totals(self.store, [job.id for job in jobs])
        return {job.id: Progress.of(made.get(job.id, records.StepTotals())) for job in jobs}

    async def preview(self, background: BackgroundRequest, revision: RevisionContext) -> JobPreview:
        """Return the text and the cost of a job of this request, without making it. Raises RequestFailed."""
        raise Conflict(_NOT_AGAIN, param="kind")

    async def say_again(
        self, background: BackgroundRequest, job: Job, body: AgainBody, revision: RevisionContext
    ) -> MadeJob:
        """Make a job that speaks a part of an ended job again. Raises RequestFailed."""
        raise Conflict(_NOT_AGAIN, param="id")

    async def preview_again(
        self, background: BackgroundRequest, job: Job, body: AgainBody, revision: RevisionContext
    ) -> JobPreview:
        """Return the text and the cost of the job that `say_again` would make. Raises RequestFailed."""
        raise Conflict(_NOT_AGAIN, param="id")

    def chapters(self, job: Job) -> Sequence[Chapter]:
        return ()

    def columns(self, job: Job) -> Columns:
        """Return more facts of a job, for answers, the console and the command line. `words` has their names.
        Raises VaultFailed."""
        return {}

    async def facts(self, job: Job) -> M4bFacts:
        """Return the metadata for the audiobook of a job. Raises VaultFailed."""
        fields = self.files.vault.open_record(job.account, job.id, job.record, StepFields)
        return M4bFacts(
            title=fields.title,
            narrators=(fields.voice,) if fields.voice else (),
            language=fields.language or msgspec.json.decode(fields.sent.get("language", b"null")) or "",
            cover=await self.find_cover(job, fields, waits=True),
        )

    async def find_cover(self, job: Job, fields: StepFields, *, waits: bool = False) -> bytes:
        """Return the cover of a job, or nothing. Only a step `waits` for a place to read it. Raises
        RequestFailed, VaultFailed."""
        return await (await uploads.held_content(self.files, job.account, fields.cover)).read_whole()

    async def make_files(self, making: FileMaking, job: Job, clips: Sequence[JobClip]) -> None:
        """Make the files of a job whose steps are done. Raises as `MakeFiles` says."""
        await making.make_joined(clips)

    async def end_warnings(self, job: Job) -> Sequence[str]:
        """Return warnings about an ended job, for its account."""
        return ()

    def shown_error(self, error: str) -> str:
        """Return the message to show for the stored error of a step."""
        return error

    async def content(self, job: Job, request: Request, revision: RevisionContext) -> Response:
        """Answer with the result of an ended job. Raises RequestFailed."""
        raise Conflict(ABSENT, param="id")

    async def subtitles(self, job: Job, request: Request, format_: str) -> Response:
        """Answer with the subtitles of an ended job. Raises RequestFailed."""
        raise Conflict(self.subtitles_refusal, param="id")

    async def step_content(self, job: Job, clip: JobClip, range_: str | None) -> Response:
        """Answer with the sound of a step. Raises RangeNotSatisfiable."""
        format_ = step_format(job.format)
        return whole_reply(
            StoredFile.of_blobs(self.files, [clip]), f"{clip.step}.{format_}", MEDIA_TYPES[format_], range_
        )

    def end_statements(self, job: Job, *, by_account: bool) -> Sequence[Statement]:
        """Return statements for the commit in which an account or an operator cancels or deletes a job."""
        return ()

    async def after_cancel(self, job: Job) -> None:
        """Do the work that follows the cancellation of a job."""
        del job


class AbsentKind(JobKind):
    """Stands for the kind of a feature that is off. Its jobs can be seen, ended and deleted."""

    retry_refusal = subtitles_refusal = ABSENT


class StepKind(JobKind):
    """A kind whose steps the class `Steps` runs. `voice_gone_message` is the error of a step whose voice was
    deleted. If it `fails_as_one`, a failed step ends the job. If it `is_checked_before`, a server has found
    the model before it accepted the job, so a worker without this model leaves the step to others."""

    voice_gone_message = "The voice of this job is not here any more."
    is_done_with_clip = True
    """Whether a step is done once its sound or text is committed. If not, more work follows that commit."""
    fails_as_one = True
    is_checked_before = True

    async def has_expired(self, job: Job) -> bool:
        """End the job if its time is over, and tell whether it was ended. Then no further step begins."""
        return False

    def stored_error(self, status: int, why: ErrorDetail) -> str:
        """Return the stored form of a step's failure. `status` is the status that a request would have
        had."""
        return why.message


class EngineAttempt(Protocol):
    was_dispatched: bool


class StepAttempt:
    """An attempt at a step. From the plan on, `engine_attempts` grows with each engine that is asked. At the
    end, `spoken` has the paces of the voices. `has_lost` tells whether the attempt is cancelled because its
    lease was lost."""

    engine_attempts: Sequence[EngineAttempt] = ()
    spoken: Sequence[Spoken] = ()

    def __init__(self, has_lost: Callable[[], bool]) -> None:
        self.has_lost = has_lost

    @property
    def has_reached_engine(self) -> bool:
        return any(each.was_dispatched for each in self.engine_attempts)


class TextKind(StepKind, ABC):
    """A kind whose steps make text. The kind itself holds and settles the price of each step."""

    @abstractmethod
    async def write_step(
        self, job: Job, step: JobStep, caller: Caller, terms: Terms, attempt: StepAttempt
    ) -> None:
        """Make the text of a step, and commit it with its charge. Raises RequestFailed, VaultFailed,
        StorageFailed."""


class PlannedStep(NamedTuple):
    """The call of a step. Its text has tags before `first_character`, where the step's piece begins. The
    commit of the sound checks that the `consent` still exists. If there is a `source_job`, the step takes
    over a clip of it that has the same sound."""

    call: SpeechCall
    first_character: int = 0
    consent: str | None = None
    source_job: str = ""


class SpokenKind(StepKind, ABC):
    """A kind whose steps are spoken."""

    @abstractmethod
    async def plan(
        self, job: Job, step: JobStep, speaking: Speaking, caller: Caller, terms: Terms
    ) -> PlannedStep:
        """Plan a step. Raises RequestFailed, VaultFailed."""

    async def content(self, job: Job, request: Request, revision: RevisionContext) -> Response:
        if not request.query_params.get("file"):
            return await sound_reply(self.files, job, request)
        fields = self.files.vault.open_record(job.account, job.id, job.record, StepFields)
        if not (cover := await self.find_cover(job, fields)):
            raise NotFound("The job has no cover.", param="file")
        type_ = "png" if cover.startswith(b"\x89PNG") else "jpeg"
        file = StoredFile(self.files, job.account, [cover])
        return whole_reply(file, f"{job.id}.{type_}", f"image/{type_}", request.headers.get("range"))


_MOST_NAME_BYTES = 100


class _BodyKind(msgspec.Struct, frozen=True):
    kind: msgspec.Raw = msgspec.Raw(b"")


_decode_kind = msgspec.json.Decoder(_BodyKind).decode


class JobKinds:
    """The kinds of a worker or of a command. Later features add theirs. `default_kind` is for requests that
    name no kind. `step_kinds` are those whose steps the class `Steps` runs."""

    def __init__(self, files: JobFiles, kinds: Sequence[JobKind]) -> None:
        self.files = files
        self.default_kind = kinds[0]
        self.step_kinds: dict[Kind, StepKind] = {}
        self._by_name: dict[Kind, JobKind] = {}
        self._by_json_name: dict[bytes, JobKind] = {}
        self._absent = AbsentKind(files)
        for kind in kinds:
            self.add_kind(kind)

    def add_kind(self, kind: JobKind) -> None:
        """Add a kind of jobs. A feature calls it while it opens: `context.find(JobKinds)`."""
        self._by_name[kind.name] = kind
        if kind.body is not None:
            self._by_json_name[msgspec.json.encode(kind.name)] = kind
        if isinstance(kind, StepKind):
            self.step_kinds[kind.name] = kind

    @property
    def bodies(self) -> tuple[type[msgspec.Struct], ...]:
        return tuple(kind.body for kind in self._by_name.values() if kind.body is not None)

    @property
    def preview_bodies(self) -> tuple[type[msgspec.Struct], ...]:
        kinds = self._by_name.values()
        return tuple(kind.body for kind in kinds if kind.body is not None and kind.can_repeat)

    @property
    def forms_by_kind(self) -> dict[str, type[msgspec.Struct]]:
        return {kind.name: kind.form for kind in self._by_name.values() if kind.form is not None}

    @property
    def form_fields(self) -> frozenset[str]:
        return frozenset().union(*(kind.form_fields for kind in self._by_name.values()))

    def kind_of(self, job: Job) -> JobKind:
        return self._by_name.get(job.kind, self._absent)

    async def facts_of(self, job: Job) -> M4bFacts:
        """Return the metadata for the audiobook of a job. Raises VaultFailed."""
        return await self.kind_of(job).facts(job)

    async def make_files(self, making: FileMaking, job: Job, clips: Sequence[JobClip]) -> None:
        if (kind := self.kind_of(job)) is self._absent:
            raise ServerBusy(ABSENT)  # another server may have the feature, or this one later
        await kind.make_files(making, job, clips)

    def kind_named_in(self, body: bytes) -> JobKind:
        """Return the kind that a JSON body names. It reads every byte, so run it in a thread."""
        try:
            name = _decode_kind(body).kind
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self.default_kind  # its `make` reads the body again, and raises the fault
        return self._by_json_name.get(bytes(memoryview(name)[:_MOST_NAME_BYTES]), self.default_kind)

    def kind_of_form(self, form: RequestForm) -> JobKind:
        """Return the kind that a form names. Raises InvalidRequest."""
        named, forms = form.fields.get("kind", [""]), self.forms_by_kind
        if len(named) != 1 or named[0] not in forms:
            code = "missing_required_parameter" if named == [""] else None
            message = f"Invalid value for 'kind': it must be {' or '.join(forms)}."
            raise InvalidRequest(message, param="kind", code=code)
        return self._by_name[named[0]]

    async def show_jobs(self, jobs: Sequence[Job]) -> list[ShownJob]:
        """Return these jobs as answers show them, in the same order."""
        progress = dict[str, Progress]()
        for kind in (*self._by_name.values(), self._absent):
            if own := [job for job in jobs if self.kind_of(job) is kind]:
                progress |= await kind.progress(own)
        canceled = [job.id for job in jobs if job.state == "canceled"]
        settling = await records.list_under_way(self.files.store, canceled)
        for id_ in settling:
            progress[id_] = progress[id_]._replace(is_settling=True)
        return await map_in_turns(lambda job: self._shown(job, progress[job.id]), jobs)

    def _shown(self, job: Job, progress: Progress) -> ShownJob:
        kind = self.kind_of(job)
        shown = shown_job(job, self._fields(job), progress)
        if not kind.words:
            return shown
        try:
            return replace(shown, words=kind.words, columns=kind.columns(job))
        except VaultFailed:
            return replace(shown, words=kind.words)  # the job is shown without its columns

    def _fields(self, job: Job) -> SealedFields:
        try:
            return self.files.vault.open_record(job.account, job.id, job.record, SealedFields)
        except VaultFailed:
            return SealedFields()  # the job is shown without its texts

    async def show_job(self, job: Job, *, is_own: bool = False) -> ShownJob:
        """Return a job as answers show it, with warnings about wrong words. The words themselves are shown to
        its account alone (`is_own`)."""
        (shown,) = await self.show_jobs([job])
        if job.state == "open":
            return shown
        try:
            chapters = self.kind_of(job).chapters(job)
        except VaultFailed:
            chapters = ()
        is_one_text = self.kind_of(job).is_one_text
        wrong = await warnings(self.files, job, chapters, is_one_text=is_one_text, is_own=is_own)
        return replace(shown, warnings=(*shown.warnings, *await self.kind_of(job).end_warnings(job), *wrong))
