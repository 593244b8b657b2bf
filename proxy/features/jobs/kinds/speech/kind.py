"""Speech of a long text: a job whose steps are its pieces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from functools import partial

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from policies import text_tags
from policies.plans import Terms
from proxy.access.callers import Caller
from proxy.api.speech_answers import SpeechReport
from proxy.api.speech_forms import BackgroundRequest
from proxy.api.speech_headers import WORD_TIMES
from proxy.feature import RevisionContext
from proxy.features.jobs.core import records
from proxy.features.jobs.core.content import SoundQuery, no_sound
from proxy.features.jobs.core.fields import Chapter, StepFields, chapter_of, of_step
from proxy.features.jobs.core.kind import JobUpload, PlannedStep, SpokenKind
from proxy.features.jobs.core.making import MadeJob, NewJob, add_job, check_length, made_once
from proxy.features.jobs.core.records import Job, JobClip, JobStep
from proxy.features.jobs.kinds.speech.chapters import cut, in_chapter, mute
from proxy.features.jobs.kinds.speech.pieces import MOST_CHARACTERS
from proxy.features.jobs.kinds.speech.request import JobBody, JobFields, parse_job, step_body, step_text
from proxy.features.jobs.kinds.speech.subtitles import (
    SUBTITLES,
    Writer,
    with_times,
    writers,
)
from proxy.features.jobs.section import SECTION
from proxy.http.ranges import StreamedFile
from proxy.speech.call import SpeechCall
from proxy.speech.speaking import Speaking
from proxy.speech.speech_request import Defaults, parse_speech
from proxy.speech.split_text import EMOTION, inexpressible
from proxy.speech.word_times import SpokenWord

Plan = Callable[[str], Awaitable[SpeechCall]]
"""Plans a piece of a text as a step will be planned. Raises RequestFailed."""


class SpeechKind(SpokenKind):
    name = "speech"
    body = JobBody

    async def make(
        self, background: BackgroundRequest, at: RevisionContext, upload: JobUpload | None
    ) -> MadeJob:
        # It holds the interpreter's lock for a few milliseconds, and never blocks the loop.
        body = await asyncio.to_thread(parse_job, background.body, background.defaults)
        if not body.text.strip():
            raise mute(None)
        check_length(background.terms, len(body.text), "chapters" if body.chapters else "input")
        body = replace(body, tag=background.tag(body.tag))
        return await made_once(self.files, background, partial(self._add, background, body, at))

    async def _add(
        self, background: BackgroundRequest, body: JobFields, at: RevisionContext, id_: str, digest: bytes
    ) -> None:
        """Plan the beginning as a step will be planned, and add the job. Raises RequestFailed."""
        assert at.speaking is not None, "a worker speaks"
        begins = len(body.text) - len(body.text.lstrip())
        most = SECTION.of(at.config).step_characters
        plan = partial(_planned, at.speaking, id_, background.caller, body)
        call = await plan(body.text[begins : begins + MOST_CHARACTERS])
        names = tuple(name for name, _ in call.request.cast or tuple(call.plan.voice.cast))
        pieces, chapters = await asyncio.to_thread(
            cut, body.text, body.chapters, call.plan.language, names, most
        )
        fields = StepFields(
            sent=body.sent,
            cast=names,
            request=digest.hex(),
            title=body.title,
            model=call.request.model,
            voice=call.plan.voice.id,
            chapters=chapters,
            files=body.files,
            kbit_s=body.kbit_s,
        )
        ignored = {*call.ignored(), *await _dropped_tags(fields, body.text, pieces, plan)}
        fields = replace(fields, ignored=tuple(sorted(ignored)))
        data, characters, tag = body.text.encode(), len(body.text), body.tag or ""
        new = NewJob(id_, self.name, body.format, fields, data, pieces, characters, tag=tag)
        await add_job(self.files, background, new)

    async def plan(
        self, job: Job, held: JobStep, speaking: Speaking, caller: Caller, terms: Terms
    ) -> PlannedStep:
        fields = self._fields(job)
        text = await self.files.text(job.account, job.digest)
        # The speaker and the emotion begin anew with each chapter.
        begin = fields.begin_of(held.number)
        chapter, first, last = text[begin:], held.first - begin, held.last - begin
        for has_emotion in (True, False):
            # A thread, as it looks through the whole text.
            piece, tags = await asyncio.to_thread(
                partial(step_text, chapter, fields.cast, first, last, has_emotion=has_emotion)
            )
            body = step_body(fields, piece)
            request = parse_speech(body, Defaults(), speaking.plans.client_fields)
            call = await speaking.prepare_call(held.request, caller, request, terms)
            # If no voice expresses the emotion, its tag counts as text, and would be spoken: then the first
            # part begins before the end of the tags, and the step is planned again without the emotion.
            if call.plan.parts[0].start >= tags - 1:
                break
        return PlannedStep(call, tags)

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


async def _planned(speaking: Speaking, id_: str, caller: Caller, body: JobFields, text: str) -> SpeechCall:
    terms = of_step(speaking.admission.terms(caller))
    request = parse_speech(
        step_body(StepFields(sent=body.sent), text), Defaults(), speaking.plans.client_fields
    )
    if request.emotion_tags == "refuse":
        request = replace(request, emotion_tags="drop")  # a refusal tells the place in the whole text
    return await speaking.prepare_call(id_, caller, request, terms)


async def _dropped_tags(
    fields: StepFields, text: str, pieces: Sequence[tuple[int, int]], plan: Plan
) -> Sequence[str]:
    """Return EMOTION if tags of the text are left out. Raises InvalidRequest if the job refuses that."""
    mode, seen = msgspec.json.decode(fields.sent.get("emotion_tags", b"null")), set[tuple[str, str]]()
    for number, (start, end) in enumerate(pieces, 1):
        if mode == "text" or text_tags.first_emotion(text[start:end]) is None:
            continue
        begin = fields.begin_of(number)
        first, last = start - begin, end - begin
        work = partial(step_text, text[begin:], fields.cast, first, last, has_emotion=False)
        piece, tag_characters = await asyncio.to_thread(work)
        turns = text_tags.turns(piece, fields.cast)
        tags = {(turn.name, tag.value) for turn in turns for tag in turn.tags}
        # Tags that were checked before have the same result.
        for part in (await plan(piece)).plan.parts if tags - seen else ():
            tag = text_tags.first_emotion(piece, part.start, part.end)
            if tag is None or EMOTION not in part.candidates[0].ignores:
                continue
            if mode != "refuse":
                return [EMOTION]
            chapter = chapter_of(fields.chapters, number)
            param = "input" if chapter is None else in_chapter(chapter - 1, "input")
            raise inexpressible(tag, first + tag.start - tag_characters, part.candidates[0], param)
        seen |= tags
    return []
