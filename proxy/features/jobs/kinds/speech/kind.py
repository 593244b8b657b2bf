"""The kind of jobs that speak a long text. Each step speaks a piece of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from policies.plans import Terms
from proxy.access.callers import Caller
from proxy.api.speech_answers import SpeechReport
from proxy.api.speech_forms import BackgroundRequest
from proxy.api.speech_headers import WORD_TIMES
from proxy.feature import RevisionContext
from proxy.features.jobs.core import covers, records
from proxy.features.jobs.core.again import AgainBody, again_fields
from proxy.features.jobs.core.content import SoundQuery, no_sound
from proxy.features.jobs.core.fields import Chapter, StepFields, step_terms
from proxy.features.jobs.core.joined_sound import added_silences
from proxy.features.jobs.core.kind import PlannedStep
from proxy.features.jobs.core.making import check_length
from proxy.features.jobs.core.records import Job, JobClip, JobStep
from proxy.features.jobs.kinds.speech.drafting import TextPiece, draft_fields, plan_step, step_planner
from proxy.features.jobs.kinds.speech.request import JobBody, JobFields, parse_job
from proxy.features.jobs.texts.chapters import find_sayings, nothing_to_say
from proxy.features.jobs.texts.drafts import DraftKind, JobDraft
from proxy.features.jobs.texts.subtitles import SUBTITLES, WRITERS, CueWriter, add_times
from proxy.http.ranges import StreamedFile
from proxy.speech.speaking import Speaking
from proxy.speech.split_text import EMOTION
from proxy.speech.spoken_word import SpokenWord


class SpeechKind(DraftKind):
    name = "speech"
    body: type[msgspec.Struct] | None = JobBody
    is_one_text = True
    result_files = ("cover",)

    async def read_request(self, background: BackgroundRequest, revision: RevisionContext) -> JobDraft:
        body = await self.read_text(background, revision)
        check_length(background.terms, body.characters, body.field)
        return await self._draft_text(background, body, revision)

    async def read_text(self, background: BackgroundRequest, revision: RevisionContext) -> JobFields:
        """Read the text and the other fields of a request. Raises RequestFailed."""
        # A large body takes milliseconds to parse, so a thread does it.
        body = await asyncio.to_thread(parse_job, background.body, background.defaults)
        if not body.text.strip():
            raise nothing_to_say(None)
        return await self.with_cover(background, body)

    async def with_cover(self, background: BackgroundRequest, body: JobFields) -> JobFields:
        """Check the cover of a request, and return its fields. Raises RequestFailed."""
        if body.cover:
            await covers.check_cover(self.files, background.caller.account, body.cover)
        return body

    async def _draft_text(
        self, background: BackgroundRequest, body: JobFields, revision: RevisionContext
    ) -> JobDraft:
        fields, pieces = await draft_fields(revision, background.id, background.caller, body)
        text = body.text
        return JobDraft(
            fields=fields,
            format=body.format,
            data=text.encode(),
            pieces=pieces,
            characters=body.characters,
            plan=step_planner(revision, background, fields, text, pieces),
            text=text,
            tag=background.tag(body.tag),
            holds=body.layout.holds,
            left_out=body.layout.left_out,
        )

    async def draft_again(
        self, background: BackgroundRequest, job: Job, body: AgainBody, revision: RevisionContext
    ) -> JobDraft:
        places = await records.list_pieces(self.store, job.id)
        pieces = [places[number] for number in sorted(places)]
        before, text = self._fields(job), await self.files.text(job.account, job.digest)
        fields = again_fields(before, job.id, job.steps, body)
        if fields.sayings is None:
            sayings = await asyncio.to_thread(find_sayings, text, fields.chapters, fields.cast, pieces)
            fields = replace(fields, sayings=sayings)
        # The first step is planned, so that a voice that is gone or not permitted any more is refused at
        # once.
        call = await step_planner(revision, background, fields, text, pieces)(1, step_terms(background.terms))
        ignored = {*call.ignored_fields(), *({EMOTION} & {*before.ignored})}
        fields = replace(fields, voice=call.plan.voice.id, ignored=tuple(sorted(ignored)))
        plan = step_planner(revision, background, fields, text, pieces)
        data, language = text.encode(), call.plan.language
        return JobDraft(fields, job.format, data, pieces, job.characters, plan, language=language, text=text)

    async def plan(
        self, job: Job, step: JobStep, speaking: Speaking, caller: Caller, terms: Terms
    ) -> PlannedStep:
        fields = self._fields(job)
        text = await self.files.text(job.account, job.digest)
        piece = TextPiece(step.number, step.first, step.last)
        planned = await plan_step(speaking, caller, terms, fields, text, piece, step.request)
        return planned._replace(source_job=fields.source_of(step.number))

    def chapters(self, job: Job) -> Sequence[Chapter]:
        return self._fields(job).chapters

    async def subtitles(self, job: Job, request: Request, format_: str) -> Response:
        query = SoundQuery.of(self.files, job, request)
        clips = query.clips_of(await records.list_clips(self.store, job.id), query.chapter)
        if not clips:
            raise no_sound()
        times = await self._word_times(clips)
        headers = {WORD_TIMES: times} if times else {}
        text = await self.files.text(job.account, job.digest)
        parts = self._subtitle_parts(job, clips, text, WRITERS[format_]())
        media_type = f"{SUBTITLES[format_]}; charset=utf-8"
        return StreamedFile(parts, f"{query.name}.{format_}", media_type, headers)

    async def _word_times(self, clips: Sequence[JobClip]) -> str:
        """Return "interpolated" if the times of all words of some clip were computed, "heard" if some times
        come from recognition, or else ""."""
        found = ""
        for clip in clips:
            report = await self._report(clip)
            if report is None or all(word.interpolated for word in report.words or ()):
                return "interpolated"
            found = found or report.word_times or ""
        return found

    async def _report(self, clip: JobClip) -> SpeechReport | None:
        if not clip.words:
            return None
        return msgspec.json.decode(await self.files.report_of(clip), type=SpeechReport)

    async def _words(self, clip: JobClip) -> list[SpokenWord]:
        if (report := await self._report(clip)) is None:
            return []
        return [
            SpokenWord(word.start_seconds, word.source_start, word.source_end, word.interpolated is True)
            for word in report.words or ()
        ]

    async def _subtitle_parts(
        self, job: Job, clips: Sequence[JobClip], text: str, writer: CueWriter
    ) -> AsyncGenerator[bytes, None]:
        places, begins_s = await records.list_pieces(self.store, job.id), 0.0
        fields = self._fields(job)
        yield writer.head
        for clip, added in zip(clips, added_silences(clips, fields), strict=True):
            begins_s += added / clip.sample_rate_hz
            timed, (first, last) = await self._words(clip), places[clip.number]
            seconds, piece = clip.samples / clip.sample_rate_hz, text[first:last]
            words = await asyncio.to_thread(add_times, piece, fields.cast, timed, seconds)
            yield await asyncio.to_thread(writer.write_cues, piece, words, begins_s, begins_s + seconds)
            # The frames of joined clips play for longer than the sound in them.
            begins_s += clip.played_s

    def _fields(self, job: Job) -> StepFields:
        return self.files.vault.open_record(job.account, job.id, job.record, StepFields)
