"""Speech of a long text: a job whose steps are its pieces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from functools import partial

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
from proxy.features.jobs.core.again import AgainBody, again_fields, keep_words
from proxy.features.jobs.core.content import SoundQuery, no_sound
from proxy.features.jobs.core.fields import Chapter, StepFields, of_step
from proxy.features.jobs.core.kind import JobUpload, PlannedStep, SpokenKind
from proxy.features.jobs.core.making import MadeJob, NewJob, add_job, check_length, made_once
from proxy.features.jobs.core.previews import JobPreview
from proxy.features.jobs.core.records import Job, JobClip, JobStep
from proxy.features.jobs.kinds.speech.drafting import TextPiece, drafted, plan_step
from proxy.features.jobs.kinds.speech.previewing import JobText, previewed
from proxy.features.jobs.kinds.speech.request import JobBody, JobFields, parse_job
from proxy.features.jobs.texts.chapters import mute
from proxy.features.jobs.texts.subtitles import SUBTITLES, Writer, with_times, writers
from proxy.file_store.once import digest_of_fields
from proxy.http.ranges import StreamedFile
from proxy.speech.speaking import Speaking
from proxy.speech.split_text import EMOTION
from proxy.speech.word_times import SpokenWord


class SpeechKind(SpokenKind):
    name = "speech"
    body: type[msgspec.Struct] | None = JobBody
    is_one_text = True
    can_repeat = True

    async def make(
        self, background: BackgroundRequest, at: RevisionContext, upload: JobUpload | None
    ) -> MadeJob:
        body = await self.read_text(background, at)
        check_length(background.terms, body.characters, body.field)
        body = replace(body, tag=background.tag(body.tag))
        return await made_once(self.files, background, partial(self._add, background, body, at))

    async def read_text(self, background: BackgroundRequest, at: RevisionContext) -> JobFields:
        """Read the text of a request, and what is asked for it. Raises RequestFailed."""
        # It holds the interpreter's lock for a few milliseconds, and never blocks the loop.
        body = await asyncio.to_thread(parse_job, background.body, background.defaults)
        if not body.text.strip():
            raise mute(None)
        return await self.with_cover(background, body)

    async def with_cover(self, background: BackgroundRequest, body: JobFields) -> JobFields:
        """Return the same fields, whose picture can be used. Raises RequestFailed."""
        if body.cover:
            await covers.check_cover(self.files, background.caller.account, body.cover)
        return body

    async def _add(
        self, background: BackgroundRequest, body: JobFields, at: RevisionContext, id_: str, digest: bytes
    ) -> None:
        """Plan the beginning as a step will be planned, and add the job. Raises RequestFailed."""
        fields, pieces = await drafted(at, id_, background.caller, body)
        fields = replace(fields, request=digest.hex())
        data, characters, tag, holds = body.text.encode(), body.characters, body.tag or "", body.of_file.holds
        new = NewJob(id_, self.name, body.format, fields, data, pieces, characters, tag=tag, files=holds)
        await add_job(self.files, background, new)

    async def plan(
        self, job: Job, held: JobStep, speaking: Speaking, caller: Caller, terms: Terms
    ) -> PlannedStep:
        fields = self._fields(job)
        text = await self.files.text(job.account, job.digest)
        piece = TextPiece(held.number, held.first, held.last)
        planned = await plan_step(speaking, caller, terms, fields, text, piece, held.request)
        if fields.again is None or fields.again.is_anew(held.number):
            return planned
        return planned._replace(source=fields.again.source)

    async def preview(self, background: BackgroundRequest, at: RevisionContext) -> JobPreview:
        body = await self.read_text(background, at)
        check_length(background.terms, body.characters, body.field)
        fields, pieces = await drafted(at, background.id, background.caller, body)
        preview = await previewed(self.files, at, background, JobText(fields, body.text, pieces))
        return replace(preview, left_out=body.of_file.left_out)

    async def say_again(
        self, background: BackgroundRequest, job: Job, body: AgainBody, at: RevisionContext
    ) -> MadeJob:
        text = await self._again(background, job, body, at)
        if body.keep_words and body.words:
            await keep_words(at, job.account, text.language, body.words)
        digest = await asyncio.to_thread(digest_of_fields, body, job.id.encode())
        return await made_once(
            self.files, background, partial(self._add_again, background, job, text), digest
        )

    async def preview_again(
        self, background: BackgroundRequest, job: Job, body: AgainBody, at: RevisionContext
    ) -> JobPreview:
        return await previewed(self.files, at, background, await self._again(background, job, body, at))

    async def _again(
        self, background: BackgroundRequest, job: Job, body: AgainBody, at: RevisionContext
    ) -> JobText:
        """Return what is said of a job that is said again. Raises RequestFailed."""
        pieces = await records.list_pieces(self.store, job.id)
        before = self._fields(job)
        fields = again_fields(before, job, body)
        text = await self.files.text(job.account, job.digest)
        assert at.speaking is not None, "a worker speaks"
        # A voice that is gone, or may not be used any more, is refused at once.
        terms, first = of_step(background.terms), TextPiece(1, *pieces[1])
        call, *_ = await plan_step(at.speaking, background.caller, terms, fields, text, first, background.id)
        ignored = {*call.ignored(), *({EMOTION} & {*before.ignored})}
        fields = replace(fields, voice=call.plan.voice.id, ignored=tuple(sorted(ignored)))
        return JobText(fields, text, [pieces[number] for number in sorted(pieces)], call.plan.language)

    async def _add_again(
        self, background: BackgroundRequest, job: Job, text: JobText, id_: str, digest: bytes
    ) -> None:
        fields = replace(text.fields, request=digest.hex())
        data = text.text.encode()
        new = NewJob(id_, self.name, job.format, fields, data, text.pieces, job.characters, tag=job.tag)
        await add_job(self.files, background, new)

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
        parts = self._subtitles(job, clips, text, writers[format_]())
        media_type = f"{SUBTITLES[format_]}; charset=utf-8"
        return StreamedFile(parts, f"{query.name}.{format_}", media_type, headers)

    async def _word_times(self, clips: Sequence[JobClip]) -> str:
        """Return "interpolated" if the times of a clip's words were computed, "heard" if the server has heard
        some, or else ""."""
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

    async def _subtitles(
        self, job: Job, clips: Sequence[JobClip], text: str, writer: Writer
    ) -> AsyncGenerator[bytes, None]:
        places, begins_s = await records.list_pieces(self.store, job.id), 0.0
        cast = self._fields(job).cast
        yield writer.head
        for clip in clips:
            told, (first, last) = await self._words(clip), places[clip.number]
            seconds, piece = clip.samples / clip.sample_rate_hz, text[first:last]
            words = await asyncio.to_thread(with_times, piece, cast, told, seconds)
            yield await asyncio.to_thread(writer.write_cues, piece, words, begins_s, begins_s + seconds)
            # The frames of joined clips play for longer than the sound in them.
            begins_s += clip.played_s

    def _fields(self, job: Job) -> StepFields:
        return self.files.vault.open_record(job.account, job.id, job.record, StepFields)
