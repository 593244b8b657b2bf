"""Transcriptions of long recordings: jobs whose steps are stretches of the recording. The text of a step is
stored as sealed JSON: its segments, with their times in the whole recording."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from functools import partial
from hashlib import sha256
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from policies.plans import Terms
from proxy.access.callers import Caller
from proxy.api.speech_forms import BackgroundRequest
from proxy.errors import Conflict, InvalidRequest
from proxy.feature import RevisionContext
from proxy.features.jobs.core import records
from proxy.features.jobs.core.content import whole_reply
from proxy.features.jobs.core.fields import SealedFields, step_terms
from proxy.features.jobs.core.hearing_steps import HearingKind
from proxy.features.jobs.core.kind import JobUpload, StepAttempt
from proxy.features.jobs.core.making import MadeJob, NewJob, add_job, check_length, make_once
from proxy.features.jobs.core.records import Job, JobStep
from proxy.features.transcriptions import form as transcription_form
from proxy.features.transcriptions import long_recordings
from proxy.features.transcriptions.form import (
    FILE,
    HearRequest,
    TranscriptFormat,
    TranscriptionForm,
    read_request,
)
from proxy.features.transcriptions.formats import TranscriptBuilder, transcript_body
from proxy.features.transcriptions.hearing import (
    LEAST_S,
    HearCall,
    Hearing,
    HearTotals,
)
from proxy.features.transcriptions.long_recordings import StretchRequest
from proxy.features.transcriptions.uploads import DecodedUpload
from proxy.file_store.once import digest_of_fields
from proxy.file_store.sealed_blobs import StoredFile
from proxy.http.body import Title
from proxy.http.replies import encode_json
from speech_engine import TranscriptSegment
from speech_engine.hearing import HEARING_HZ, Task
from speech_engine.language_names import UNSPACED, base_tag
from speech_engine.pcm import PcmInMemory

MEDIA: dict[TranscriptFormat, tuple[str, str]] = {
    "json": ("application/json", "json"),
    "text": ("text/plain; charset=utf-8", "txt"),
    "srt": ("application/x-subrip; charset=utf-8", "srt"),
    "verbose_json": ("application/json", "json"),
    "vtt": ("text/vtt; charset=utf-8", "vtt"),
}
"""The media type of each format, and the suffix of its file's name."""


class TranscriptionJobForm(TranscriptionForm, frozen=True, kw_only=True):
    """The form of POST /v1/jobs for a transcription. Its `file` may play for two hours. With `task`
    `translate`, it is written down in English."""

    kind: Annotated[Literal["transcription"], Meta(description="conversion or transcription")]
    task: Annotated[Task, Meta(description="transcribe or translate")] = "transcribe"
    title: Title = ""


class TranscriptionFields(SealedFields, frozen=True, kw_only=True):
    """The sealed fields of a transcription. `source` is the SHA-256 of the file. If it `takes_first`, only
    the file's first channel is used."""

    form: TranscriptionJobForm
    source: str
    takes_first: bool


FORM_FIELDS = transcription_form.FIELDS | frozenset(TranscriptionJobForm.__struct_fields__)
_decode = msgspec.json.Decoder(list[TranscriptSegment]).decode


class TranscriptionKind(HearingKind):
    """The kind of transcriptions. Each revision of the configuration sets `hearing`."""

    name = "transcription"
    form = TranscriptionJobForm
    form_fields = FORM_FIELDS
    hearing: Hearing

    async def make(
        self, background: BackgroundRequest, revision: RevisionContext, upload: JobUpload | None
    ) -> MadeJob:
        assert upload is not None, "a transcription is made from a form"
        form, file = upload
        request = read_request(form, "transcribe", TranscriptionJobForm)
        # A recording has no characters. This only refuses a plan without jobs.
        check_length(background.terms, 0, FILE)
        tag = background.tag(request.form.tag)
        digest = await asyncio.to_thread(digest_of_fields, request.form, file)
        add = partial(self._add, background, request, file, tag)
        return await make_once(self.files, background, add, digest)

    async def _add(
        self,
        background: BackgroundRequest,
        request: HearRequest,
        file: bytes,
        tag: str,
        id_: str,
        digest: bytes,
    ) -> None:
        form, caller, terms = request.form, background.caller, step_terms(background.terms)
        assert isinstance(form, TranscriptionJobForm), "it was read as one"
        models = self.hearing.find_models(_hear_request(form), terms)
        payer = await self.check_payer(caller, terms, models, LEAST_S)
        survey = await self.decoder.survey(payer, file)
        pieces = await asyncio.to_thread(
            long_recordings.cut_stretches, survey.levels, survey.whole_ms, long_recordings.MOST_MS
        )
        fields = TranscriptionFields(
            request=digest.hex(),
            title=form.title,
            model=form.model,
            ignored=(*request.ignored, *(["stream"] if form.stream else [])),
            form=form,
            source=(await asyncio.to_thread(sha256, file)).hexdigest(),
            takes_first=survey.takes_first,
        )
        new = NewJob(id_, self.name, form.response_format, fields, file, pieces, tag=tag)
        await add_job(self.files, background, new)

    async def write_step(
        self, job: Job, step: JobStep, caller: Caller, terms: Terms, attempt: StepAttempt
    ) -> None:
        fields, seconds = self._fields(job), (step.last - step.first) / 1000
        request = _hear_request(fields.form)
        models = self.hearing.find_models(request, terms)
        await self.check_payer(caller, terms, models, seconds)
        file = await self.files.whole(job.account, job.digest)
        stretch = StretchRequest(file, step.first, step.last, fields.takes_first)
        pcm = await self.decoder.stretch(job.account, stretch, HEARING_HZ)
        digest = sha256(f"{fields.source} {step.first} {step.last}".encode()).hexdigest()
        recording = DecodedUpload(PcmInMemory(pcm, HEARING_HZ), seconds, digest)
        call = HearCall(
            id=step.request,
            caller=caller,
            terms=terms,
            request=request,
            models=models,
            recording=recording,
            urgency="idle",
        )
        totals = HearTotals(call)
        async with self.hold_price(job, call, totals, attempt) as hold:
            began, segments = time.monotonic(), list[TranscriptSegment]()
            async for transcript in self.hearing.transcripts(call, totals, goes_whole=True):
                segments += transcript.segments
            totals.first_ms = round((time.monotonic() - began) * 1000)
            totals.language = next((each.language for each in segments if each.language), "")
            text = encode_json([*shift_segments(segments, step.first / 1000)])
            await self.settle_step(step, call, totals, hold, text)

    async def content(self, job: Job, request: Request, revision: RevisionContext) -> Response:
        wanted = request.query_params.get("format") or job.format
        format_ = next((each for each in MEDIA if each == wanted), None)
        if format_ is None:
            message = f"Invalid value for 'format': it must be one of {', '.join(MEDIA)}."
            raise InvalidRequest(message, param="format")
        return await self._reply(job, request, format_)

    async def subtitles(self, job: Job, request: Request, format_: str) -> Response:
        return await self._reply(job, request, "vtt" if format_ == "vtt" else "srt")

    async def _reply(self, job: Job, request: Request, format_: TranscriptFormat) -> Response:
        """Answer with the text up to the first missing step: joined with the text after it, the gap would not
        be seen."""
        clips = await records.list_clips(self.store, job.id)
        before_gap = [clip for number, clip in enumerate(clips, 1) if clip.number == number]
        if not before_gap:
            raise Conflict("The job has ended before any of it was heard.", param="id")
        builder, form = TranscriptBuilder(), self._fields(job).form
        for clip in before_gap:
            builder.add_segments(_decode(await self.files.whole(job.account, clip.digest)))
        seconds = sum(clip.played_s for clip in before_gap)
        body = await asyncio.to_thread(
            transcript_body, builder, format_, seconds, form.task, form.timestamp_granularities
        )
        media_type, suffix = MEDIA[format_]
        file = StoredFile(self.files, job.account, [body])
        return whole_reply(file, f"{job.id}.{suffix}", media_type, request.headers.get("range"))

    def _fields(self, job: Job) -> TranscriptionFields:
        return self.files.vault.open_record(job.account, job.id, job.record, TranscriptionFields)


def _hear_request(form: TranscriptionJobForm) -> HearRequest:
    return HearRequest(form, form.task, has_all_formats=True)


def shift_segments(segments: Sequence[TranscriptSegment], begin_s: float) -> Iterator[TranscriptSegment]:
    """Yield the segments of a step with their times in the whole recording. In most languages, a blank
    separates them from the text of the step before."""
    for number, segment in enumerate(segments):
        text = segment.text
        if begin_s and number == 0 and base_tag(segment.language) not in UNSPACED:
            text = f" {text.lstrip()}"
        words = tuple(
            replace(word, start_s=begin_s + word.start_s, end_s=begin_s + word.end_s)
            for word in segment.words
        )
        start_s, end_s = begin_s + segment.start_s, begin_s + segment.end_s
        yield replace(segment, start_s=start_s, end_s=end_s, text=text, words=words)
