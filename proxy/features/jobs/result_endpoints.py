"""/v1/jobs/{id}/content and /subtitles: what a job has made, as a whole or by chapter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from itertools import groupby
from typing import NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from proxy.api.admin_tools import AdminTools
from proxy.api.speech_answers import ToldSpeech
from proxy.audio.formats import MEDIA_TYPES
from proxy.errors import Conflict, InvalidRequest, NoPlace, NotFound, RangeNotSatisfiable
from proxy.features.jobs.core import records
from proxy.features.jobs.core.content import RANGE, JobSound, StreamedFile, ZipOfSounds, whole_reply
from proxy.features.jobs.core.encoded_records import list_encoded
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.records import Job, JobClip
from proxy.features.jobs.core.steps import Steps
from proxy.features.jobs.endpoints import JobTools
from proxy.features.jobs.kinds.batch.files import ZIP, BatchFiles
from proxy.features.jobs.kinds.speech.chapters import file_name
from proxy.features.jobs.kinds.speech.request import ENCODED, FORMATS, SentFields
from proxy.features.jobs.kinds.speech.subtitles import Writer, writers
from proxy.http.endpoint import Query
from proxy.http.resource import Resource, answers

ONNX = "application/octet-stream"
"""There is no media type of its own."""
_CHAPTER = Query("chapter", "Only this chapter, the first of which is 1.")
_SUBTITLES = {"srt": "application/x-subrip", "vtt": "text/vtt"}
_FORMAT = Query("format", "`srt`, if it is left out.", tuple(_SUBTITLES))


class _Asked(NamedTuple):
    """What is asked for of a job: a chapter, or all."""

    job: Job
    fields: SentFields
    chapter: int | None

    @property
    def name(self) -> str:
        return self.job.id if self.chapter is None else f"{self.job.id}_{self.chapter}"

    def clips_of(self, clips: Sequence[JobClip], chapter: int | None) -> list[JobClip]:
        """Return the clips of a chapter, or all, up to the first gap: what was spoken beyond it would sound
        as if nothing were missing."""
        first, last = 1, self.job.steps
        if chapter is not None:
            first, last = self.fields.chapters[chapter - 1].first, self.fields.chapters[chapter - 1].last
        within = [clip for clip in clips if first <= clip.number <= last]
        return [clip for number, clip in enumerate(within, first) if clip.number == number]


class JobResults(JobTools, Resource):
    """What accounts get of their jobs."""

    def __init__(self, tools: AdminTools, files: JobFiles, steps: Steps, batch_files: BatchFiles) -> None:
        super().__init__(tools, files, steps)
        self._batch_files = batch_files

    @answers(
        "GET",
        "/v1/jobs/{id}/content",
        media=(*(MEDIA_TYPES[name] for name in FORMATS), ZIP, ONNX),
        queries=(_CHAPTER,),
        failures=(InvalidRequest, NotFound, Conflict, RangeNotSatisfiable, NoPlace),
        request_headers=(RANGE,),
    )
    async def get_job_content(self, request: Request) -> Response:
        """The sound of a job that has ended, or of one cut short what there is. Of a training, its voice"""
        job, range_ = await self._ended(request, "sound is"), request.headers.get("range")
        if job.kind == "batch":
            zip_ = await self._batch_files.of(request.scope, job, "sound")
            if zip_ is None:
                raise _no_sound()
            return whole_reply(zip_, f"{job.id}.zip", ZIP, range_)
        if job.kind == "training":
            blobs = await list_encoded(self._store, job.id, 0)
            if not blobs:
                why = (
                    "The training has no ONNX: its voice could not be written so, was trained again, or was "
                    "deleted. If it is there, GET /v1/audio/voices/{id}/model has it."
                )
                raise Conflict(why if job.state == "done" else "The training has no voice.", param="id")
            return whole_reply(JobSound(self._files, blobs), f"{job.id}.{job.format}", ONNX, range_)
        asked, format_ = self._asked(request, job), job.format
        sounds = await self._sounds(asked)
        if asked.chapter is None and asked.fields.files == "chapters":
            chapters, names = asked.fields.chapters, list[tuple[str, JobSound]]()
            for number, sound in sounds:
                name = file_name(number, len(chapters), chapters[number - 1].title, format_)
                names.append((name, sound))
            return whole_reply(ZipOfSounds(names), f"{asked.name}.zip", ZIP, range_)
        ((_, sound),) = sounds
        return whole_reply(sound, f"{asked.name}.{format_}", MEDIA_TYPES[format_], range_)

    @answers(
        "GET",
        "/v1/jobs/{id}/subtitles",
        media=tuple(_SUBTITLES.values()),
        queries=(_FORMAT, _CHAPTER),
        failures=(InvalidRequest, NotFound, Conflict),
    )
    async def get_job_subtitles(self, request: Request) -> Response:
        """The text of a job that has ended, with the times at which it is heard"""
        format_ = request.query_params.get("format") or "srt"
        if format_ not in _SUBTITLES:
            raise InvalidRequest("Invalid value for 'format': it must be one of srt, vtt.", param="format")
        job = await self._ended(request, "subtitles are")
        if job.kind == "batch":
            raise Conflict("A batch has no subtitles: the words of each line are in its output.", param="id")
        if job.kind == "training":
            raise Conflict("A training has no subtitles.", param="id")
        if job.kind == "conversion":
            raise Conflict("A conversion has no subtitles: it has no text.", param="id")
        asked = self._asked(request, job)
        clips = asked.clips_of(await records.list_clips(self._store, asked.job.id), asked.chapter)
        if not clips:
            raise _no_sound()
        if not all(clip.words for clip in clips):
            raise Conflict(
                "There are no subtitles: the engine of this voice does not tell when its words are heard.",
                param="id",
            )
        text = await self._files.text(asked.job.account, asked.job.digest)
        parts = self._subtitles(asked.job, clips, text, writers[format_]())
        return StreamedFile(parts, f"{asked.name}.{format_}", f"{_SUBTITLES[format_]}; charset=utf-8")

    async def _subtitles(
        self, job: Job, clips: Sequence[JobClip], text: str, writer: Writer
    ) -> AsyncGenerator[bytes, None]:
        places, begins_s = await records.list_pieces(self._store, job.id), 0.0
        yield writer.head
        for clip in clips:
            told = msgspec.json.decode(await self._files.told(clip), type=ToldSpeech)
            first, last = places[clip.number]
            seconds = clip.samples / clip.sample_rate_hz
            yield await asyncio.to_thread(
                writer.write, text[first:last], told.words or (), begins_s, begins_s + seconds
            )
            # Where clips are joined, their frames play for longer than the sound in them.
            begins_s += clip.played_s

    async def _ended(self, request: Request, what: str) -> Job:
        job = await self.found(request)
        if job.state == "open":
            raise Conflict(f"The job goes on; its {what} there when it has ended.", param="id")
        return job

    def _asked(self, request: Request, job: Job) -> _Asked:
        fields = self._tools.vault.open_record(job.account, job.id, job.record, SentFields)
        return _Asked(job, fields, _chapter(request, len(fields.chapters)))

    async def _sounds(self, asked: _Asked) -> list[tuple[int, JobSound]]:
        """Return the one sound that is asked for, or those of all chapters of which there is something."""
        if asked.chapter is None and asked.fields.files == "chapters":
            chapters: list[int | None] = [*range(1, len(asked.fields.chapters) + 1)]
        else:
            chapters = [asked.chapter]
        encoded = asked.job.format in ENCODED
        if encoded and asked.job.state != "done":
            raise Conflict(
                "The job was cut short, and its sound is encoded when it is whole: try the job again.",
                param="id",
            )
        sounds = await (self._encoded(asked, chapters) if encoded else self._joined(asked, chapters))
        if not sounds:
            raise _no_sound()
        return sounds

    async def _joined(self, asked: _Asked, chapters: Sequence[int | None]) -> list[tuple[int, JobSound]]:
        clips = await records.list_clips(self._store, asked.job.id)
        each = [(chapter or 0, asked.clips_of(clips, chapter)) for chapter in chapters]
        format_ = asked.job.format
        return [(chapter, JobSound.joined(self._files, own, format_)) for chapter, own in each if own]

    async def _encoded(self, asked: _Asked, chapters: Sequence[int | None]) -> list[tuple[int, JobSound]]:
        one = chapters[0] or 0 if len(chapters) == 1 else None
        rows = await list_encoded(self._store, asked.job.id, one)
        by_chapter = groupby(rows, lambda row: row.chapter)
        return [(chapter, JobSound(self._files, list(blobs))) for chapter, blobs in by_chapter]


def _chapter(request: Request, chapters: int) -> int | None:
    asked = request.query_params.get("chapter")
    if not asked:
        return None
    if not (asked.isdecimal() and asked.isascii() and len(asked) < 10 and 1 <= int(asked) <= chapters):
        most = f"a number from 1 to {chapters}" if chapters else "left out: the job has no chapters"
        raise InvalidRequest(f"Invalid value for 'chapter': it must be {most}.", param="chapter")
    return int(asked)


def _no_sound() -> Conflict:
    return Conflict("The job has ended before it had any sound, or that was erased.", param="id")
