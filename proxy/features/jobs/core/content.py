"""Answers with the sound of a job: one file for the job or a chapter, or a zip file with one for each
chapter."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from itertools import groupby
from typing import NamedTuple
from zipfile import ZipFile, ZipInfo

from starlette.requests import Request
from starlette.responses import Response

from proxy.audio.formats import WAV_HEADER_BYTES, final_wav_header
from proxy.errors import Conflict, InvalidRequest
from proxy.features.jobs.core import records
from proxy.features.jobs.core.encoded_records import WHOLE_JOB, list_encoded
from proxy.features.jobs.core.fields import ENCODED, JOB_MEDIA_TYPES, StepFields, file_name
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.records import Job, JobClip
from proxy.file_store.sealed_blobs import StoredFile
from proxy.helpers.zip_output import ZIP_DATE, ZipOutput, stored_size
from proxy.http.ranges import StreamedFile, file_reply

ZIP = "application/zip"
_READABLE_FILE = 0o100644 << 16


def whole_reply(whole: StoredFile | SoundZip, name: str, media_type: str, header: str | None) -> Response:
    """Answer with a file under this name, or with the range of it that `header` names. A zip file has no
    ranges. Raises RangeNotSatisfiable."""
    if isinstance(whole, StoredFile):
        return file_reply(whole, name, media_type, header)
    headers = {"accept-ranges": "none", "content-length": str(whole.size)}
    return StreamedFile(whole.parts(), name, media_type, headers)


class SoundZip:
    """A zip file of sounds that is made while it is sent. Its size is known before its first byte, as nothing
    is compressed. The names must be unique. With thousands of sounds, the constructor takes some
    milliseconds."""

    def __init__(self, sounds: Sequence[tuple[str, StoredFile]]) -> None:
        self._sounds = sounds
        self.size = stored_size(_info(name, sound.size) for name, sound in sounds)

    async def parts(self) -> AsyncGenerator[bytes, None]:
        output = ZipOutput()
        archive = ZipFile(output, "w")
        try:
            for name, sound in self._sounds:
                with archive.open(_info(name, sound.size), "w") as file:
                    async with aclosing(sound.parts(range(sound.size))) as parts:
                        async for data in parts:
                            file.write(data)
                            yield output.take_bytes()
            # In a thread: there may be very many entries.
            await asyncio.to_thread(archive.close)
            yield output.take_bytes()
        finally:
            # Without this, a half-written archive would write its directory when it is deleted.
            archive.fp = None


def _info(name: str, size: int) -> ZipInfo:
    info = ZipInfo(name, ZIP_DATE)
    # The size is set first: above 2 GiB, zip stores sizes in other fields.
    info.file_size = size
    info.external_attr = _READABLE_FILE
    return info


class SoundQuery(NamedTuple):
    """A request for the sound of a job, or of its `chapter`. The first chapter is 1."""

    job: Job
    fields: StepFields
    chapter: int | None

    @classmethod
    def of(cls, files: JobFiles, job: Job, request: Request) -> SoundQuery:
        """Read a request. Raises InvalidRequest, VaultFailed."""
        fields = files.vault.open_record(job.account, job.id, job.record, StepFields)
        return cls(job, fields, _parse_chapter(request, len(fields.chapters)))

    @property
    def name(self) -> str:
        return self.job.id if self.chapter is None else f"{self.job.id}_{self.chapter}"

    @property
    def is_zip(self) -> bool:
        """Whether the answer is a zip file of all chapters."""
        return self.chapter is None and self.fields.files == "chapters"

    def clips_of(self, clips: Sequence[JobClip], chapter: int | None) -> list[JobClip]:
        """Return the clips of a chapter, or of the job, up to the first missing one: joined with the sound
        after it, the gap would not be heard."""
        first, last = 1, self.job.steps
        if chapter is not None:
            first, last = self.fields.chapters[chapter - 1].first, self.fields.chapters[chapter - 1].last
        begin = bisect_left(clips, first, key=lambda clip: clip.number)
        within = clips[begin : begin + last - first + 1]
        return [clip for number, clip in enumerate(within, first) if clip.number == number]


async def sound_reply(files: JobFiles, job: Job, request: Request) -> Response:
    """Answer with the sound of a job, or of a chapter. Raises RequestFailed."""
    query, format_ = SoundQuery.of(files, job, request), job.format
    range_ = request.headers.get("range")
    sounds = await _find_sounds(files, query)
    if query.is_zip:
        chapters, names = query.fields.chapters, list[tuple[str, StoredFile]]()
        for number, sound in sounds:
            name = file_name(number, len(chapters), chapters[number - 1].title, format_)
            names.append((name, sound))
        return whole_reply(SoundZip(names), f"{query.name}.zip", ZIP, range_)
    ((_, sound),) = sounds
    return whole_reply(sound, f"{query.name}.{format_}", JOB_MEDIA_TYPES[format_], range_)


def no_sound() -> Conflict:
    return Conflict("The job has ended before it had any sound, or that was erased.", param="id")


def _join_clips(files: JobFiles, clips: Sequence[JobClip], format_: str) -> StoredFile:
    if format_ != "wav":
        return StoredFile.of_blobs(files, clips)
    pcm_bytes = sum(clip.bytes for clip in clips)
    is_tagged = any(clip.source for clip in clips)
    head, tag = final_wav_header(WAV_HEADER_BYTES + pcm_bytes, clips[0].sample_rate_hz, is_tagged=is_tagged)
    return StoredFile.of_blobs(files, clips, head, tag)


async def _find_sounds(files: JobFiles, query: SoundQuery) -> list[tuple[int, StoredFile]]:
    """Return the sounds of an answer, each with the number of its chapter or WHOLE_JOB. Raises Conflict if
    there is no sound."""
    job = query.job
    if job.format not in ENCODED:
        clips = await records.list_clips(files.store, job.id)
        chapters: Iterable[int | None] = [query.chapter]
        if query.is_zip:
            chapters = range(1, len(query.fields.chapters) + 1)
        clips_by_chapter = [(chapter or WHOLE_JOB, query.clips_of(clips, chapter)) for chapter in chapters]
        sounds = [(chapter, _join_clips(files, own, job.format)) for chapter, own in clips_by_chapter if own]
    elif job.state != "done":
        raise Conflict(
            "The job was cut short, and its sound is encoded when it is whole: try the job again.", param="id"
        )
    else:
        rows = await list_encoded(files.store, job.id, None if query.is_zip else query.chapter or WHOLE_JOB)
        by_chapter = groupby(rows, lambda row: row.chapter)
        sounds = [(chapter, StoredFile.of_blobs(files, list(blobs))) for chapter, blobs in by_chapter]
    if not sounds:
        raise no_sound()
    return sounds


def _parse_chapter(request: Request, chapters: int) -> int | None:
    number = request.query_params.get("chapter")
    if not number:
        return None
    if not (number.isdecimal() and number.isascii() and len(number) < 10 and 1 <= int(number) <= chapters):
        most = f"a number from 1 to {chapters}" if chapters else "left out: the job has no chapters"
        raise InvalidRequest(f"Invalid value for 'chapter': it must be {most}.", param="chapter")
    return int(number)
