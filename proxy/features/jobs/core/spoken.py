"""The sound of a job whose steps are spoken, as a whole or by chapter: a file, or a zip file."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from proxy.audio.formats import MEDIA_TYPES
from proxy.errors import Conflict, InvalidRequest
from proxy.features.jobs.core import records
from proxy.features.jobs.core.content import ZIP, SoundZip, StoredFile, whole_reply
from proxy.features.jobs.core.encoded_records import list_encoded
from proxy.features.jobs.core.fields import ENCODED, StepFields, file_name
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.records import Job, JobClip


class SoundQuery(NamedTuple):
    job: Job
    fields: StepFields
    chapter: int | None

    @classmethod
    def of(cls, files: JobFiles, job: Job, request: Request) -> SoundQuery:
        """Read a request. Raises InvalidRequest, VaultFailed."""
        fields = files.vault.open_record(job.account, job.id, job.record, StepFields)
        return cls(job, fields, _chapter(request, len(fields.chapters)))

    @property
    def name(self) -> str:
        return self.job.id if self.chapter is None else f"{self.job.id}_{self.chapter}"

    def clips_of(self, clips: Sequence[JobClip], chapter: int | None) -> list[JobClip]:
        """Return the clips of a chapter, or all, up to the first gap: sound after a gap would hide the
        gap."""
        first, last = 1, self.job.steps
        if chapter is not None:
            first, last = self.fields.chapters[chapter - 1].first, self.fields.chapters[chapter - 1].last
        within = [clip for clip in clips if first <= clip.number <= last]
        return [clip for number, clip in enumerate(within, first) if clip.number == number]


async def spoken_reply(files: JobFiles, job: Job, request: Request) -> Response:
    """Answer with the sound of a job, or of a chapter. Raises RequestFailed."""
    asked, format_ = SoundQuery.of(files, job, request), job.format
    range_ = request.headers.get("range")
    sounds = await _sounds(files, asked)
    if asked.chapter is None and asked.fields.files == "chapters":
        chapters, names = asked.fields.chapters, list[tuple[str, StoredFile]]()
        for number, sound in sounds:
            name = file_name(number, len(chapters), chapters[number - 1].title, format_)
            names.append((name, sound))
        return whole_reply(SoundZip(names), f"{asked.name}.zip", ZIP, range_)
    ((_, sound),) = sounds
    return whole_reply(sound, f"{asked.name}.{format_}", MEDIA_TYPES[format_], range_)


def no_sound() -> Conflict:
    return Conflict("The job has ended before it had any sound, or that was erased.", param="id")


async def _sounds(files: JobFiles, asked: SoundQuery) -> list[tuple[int, StoredFile]]:
    job = asked.job
    if asked.chapter is None and asked.fields.files == "chapters":
        chapters: list[int | None] = [*range(1, len(asked.fields.chapters) + 1)]
    else:
        chapters = [asked.chapter]
    if job.format not in ENCODED:
        clips = await records.list_clips(files.store, job.id)
        each = [(chapter or 0, asked.clips_of(clips, chapter)) for chapter in chapters]
        sounds = [(chapter, StoredFile.joined(files, own, job.format)) for chapter, own in each if own]
    elif job.state != "done":
        raise Conflict(
            "The job was cut short, and its sound is encoded when it is whole: try the job again.", param="id"
        )
    else:
        one = chapters[0] or 0 if len(chapters) == 1 else None
        by_chapter = groupby(await list_encoded(files.store, job.id, one), lambda row: row.chapter)
        sounds = [(chapter, StoredFile.of_blobs(files, list(blobs))) for chapter, blobs in by_chapter]
    if not sounds:
        raise no_sound()
    return sounds


def _chapter(request: Request, chapters: int) -> int | None:
    asked = request.query_params.get("chapter")
    if not asked:
        return None
    if not (asked.isdecimal() and asked.isascii() and len(asked) < 10 and 1 <= int(asked) <= chapters):
        most = f"a number from 1 to {chapters}" if chapters else "left out: the job has no chapters"
        raise InvalidRequest(f"Invalid value for 'chapter': it must be {most}.", param="chapter")
    return int(asked)
