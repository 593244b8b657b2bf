"""Files out of the vault: any range of a job's sound, as a whole or by chapter, or a zip file of sounds."""

from __future__ import annotations

import asyncio
import re
from bisect import bisect_right
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from itertools import accumulate, groupby
from typing import NamedTuple
from zipfile import ZipFile, ZipInfo

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from proxy.audio.formats import MEDIA_TYPES, WAV_HEADER_BYTES, true_wav
from proxy.errors import Conflict, InvalidRequest, RangeNotSatisfiable
from proxy.features.jobs.core import records
from proxy.features.jobs.core.encoded_records import EncodedBlob, list_encoded
from proxy.features.jobs.core.fields import ENCODED, StepFields, file_name
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.records import Job, JobClip
from proxy.features.own_voices.export import ZIP_DATE, MadeBytes
from proxy.http.connection import Connection
from proxy.http.endpoint import Header

RANGE = Header("Range", "A single range of bytes, such as `bytes=0-65535`.", "^bytes=.*$")
ZIP = "application/zip"
_READABLE = 0o100644 << 16
_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})", re.ASCII)


def range_of(header: str | None, size: int) -> range | None:
    """Return the single requested range. None: the whole, also for other headers. Raises
    RangeNotSatisfiable."""
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or not (match[1] or match[2]):
        return None
    if match[1]:
        start, end = int(match[1]), min(size, int(match[2]) + 1) if match[2] else size
        if match[2] and int(match[2]) < start:
            return None
    else:
        start, end = max(0, size - int(match[2])), size
    if start >= end:
        raise RangeNotSatisfiable(
            f"Invalid header 'Range': the file has {size} bytes.",
            param="Range",
            headers={"content-range": f"bytes */{size}"},
        )
    return range(start, end)


def whole_reply(whole: StoredFile | SoundZip, name: str, media_type: str, header: str | None) -> Response:
    """Answer with the whole file under this name, or with the range. A zip file has no ranges. Raises
    RangeNotSatisfiable."""
    if isinstance(whole, SoundZip):
        headers = {"accept-ranges": "none", "content-length": str(whole.size)}
        return StreamedFile(whole.parts(), name, media_type, headers)
    part = range_of(header, whole.size)
    headers = {"accept-ranges": "bytes"}
    if part is not None:
        headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{whole.size}"
    wanted = part or range(whole.size)
    headers["content-length"] = str(wanted.stop - wanted.start)
    return StreamedFile(whole.parts(wanted), name, media_type, headers, 200 if part is None else 206)


class Blob(NamedTuple):
    """A stored blob, from byte `first` up to `last`."""

    digest: str
    first: int
    last: int


class StoredFile:
    """A file of bytes in memory and of blobs in the vault. Any range of it can be read."""

    def __init__(self, files: JobFiles, account: str, segments: Sequence[bytes | Blob]) -> None:
        self.segments = segments
        self._files = files
        self._account = account
        self._offsets = [*accumulate(map(_size, segments), initial=0)]

    @classmethod
    def of_blobs(
        cls,
        files: JobFiles,
        blobs: Sequence[JobClip] | Sequence[EncodedBlob],
        head: bytes = b"",
        tag: bytes = b"",
    ) -> StoredFile:
        """Return blobs one after the other, perhaps with a head before them and a tag behind."""
        inner = [Blob(blob.digest, 0, blob.bytes) for blob in blobs]
        segments: list[bytes | Blob] = [head, *inner, tag]
        return cls(files, blobs[0].account, [each for each in segments if each])

    @classmethod
    def joined(cls, files: JobFiles, clips: Sequence[JobClip], format_: str) -> StoredFile:
        if format_ != "wav":
            return cls.of_blobs(files, clips)
        samples = sum(clip.bytes for clip in clips)
        is_tagged = any(clip.source for clip in clips)
        head, tag = true_wav(WAV_HEADER_BYTES + samples, clips[0].sample_rate_hz, is_tagged=is_tagged)
        return cls.of_blobs(files, clips, head, tag)

    @property
    def size(self) -> int:
        return self._offsets[-1]

    async def parts(self, part: range) -> AsyncGenerator[bytes, None]:
        at = max(0, bisect_right(self._offsets, part.start) - 1)
        while at < len(self.segments) and self._offsets[at] < part.stop:
            segment, offset = self.segments[at], self._offsets[at]
            first, last = max(0, part.start - offset), min(_size(segment), part.stop - offset)
            if isinstance(segment, bytes):
                if first < last:
                    yield segment[first:last]
            else:
                places = segment.first + first, segment.first + last
                async with aclosing(self._files.part(self._account, segment.digest, *places)) as inner:
                    async for data in inner:
                        yield data
            at += 1


def _size(segment: bytes | Blob) -> int:
    return len(segment) if isinstance(segment, bytes) else segment.last - segment.first


class SoundZip:
    """A zip file of sounds, made while it is sent; its size is known before its first byte. Names are unique.
    Nothing is compressed: sound is already. With very many sounds it takes some milliseconds to make."""

    def __init__(self, sounds: Sequence[tuple[str, StoredFile]]) -> None:
        self._sounds = sounds
        self.size = self._size()

    async def parts(self) -> AsyncGenerator[bytes, None]:
        made = MadeBytes()
        archive = ZipFile(made, "w")
        try:
            for name, sound in self._sounds:
                with archive.open(_info(name, sound.size), "w") as file:
                    async with aclosing(sound.parts(range(sound.size))) as parts:
                        async for data in parts:
                            file.write(data)
                            yield made.take()
            # In a thread: there may be very many entries.
            await asyncio.to_thread(archive.close)
            yield made.take()
        finally:
            archive.fp = None  # or what is broken off is closed in the end, and writes its directory

    def _size(self) -> int:
        """Write a zip file without its sounds, and count where all would be."""
        made = MadeBytes()
        with ZipFile(made, "w") as archive:
            for name, sound in self._sounds:
                archive.open(info := _info(name, sound.size), "w").close()
                made.size += sound.size
                info.file_size = info.compress_size = sound.size
                archive.start_dir = made.size
        return made.size


def _info(name: str, size: int) -> ZipInfo:
    info = ZipInfo(name, ZIP_DATE)
    # Above 2 GiB, zip stores the sizes in other fields.
    info.file_size = size
    info.external_attr = _READABLE
    return info


class StreamedFile(Response):
    """A file, or a part of it. A failure in its middle breaks the connection."""

    def __init__(
        self,
        parts: AsyncGenerator[bytes, None],
        name: str,
        media_type: str,
        headers: Mapping[str, str] = {},
        status: int = 200,
    ) -> None:
        about = {
            "cache-control": "no-store",
            "content-type": media_type,
            "content-disposition": f'attachment; filename="{name}"',
        }
        super().__init__(status_code=status, headers={**about, **headers})
        if "content-length" not in headers:
            del self.headers["content-length"]
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = Connection(scope, receive, send)
        with connection.stop_when_client_leaves():
            connection.set_head(self.status_code, self.raw_headers)
            async with aclosing(self._parts) as parts:
                if scope["method"] != "HEAD":
                    async for data in parts:
                        await connection.send(data)
            await connection.end(b"")


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
    query, format_ = SoundQuery.of(files, job, request), job.format
    range_ = request.headers.get("range")
    sounds = await _sounds(files, query)
    if query.chapter is None and query.fields.files == "chapters":
        chapters, names = query.fields.chapters, list[tuple[str, StoredFile]]()
        for number, sound in sounds:
            name = file_name(number, len(chapters), chapters[number - 1].title, format_)
            names.append((name, sound))
        return whole_reply(SoundZip(names), f"{query.name}.zip", ZIP, range_)
    ((_, sound),) = sounds
    return whole_reply(sound, f"{query.name}.{format_}", MEDIA_TYPES[format_], range_)


def no_sound() -> Conflict:
    return Conflict("The job has ended before it had any sound, or that was erased.", param="id")


async def _sounds(files: JobFiles, query: SoundQuery) -> list[tuple[int, StoredFile]]:
    job = query.job
    if query.chapter is None and query.fields.files == "chapters":
        chapters: list[int | None] = [*range(1, len(query.fields.chapters) + 1)]
    else:
        chapters = [query.chapter]
    if job.format not in ENCODED:
        clips = await records.list_clips(files.store, job.id)
        each = [(chapter or 0, query.clips_of(clips, chapter)) for chapter in chapters]
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
    number = request.query_params.get("chapter")
    if not number:
        return None
    if not (number.isdecimal() and number.isascii() and len(number) < 10 and 1 <= int(number) <= chapters):
        most = f"a number from 1 to {chapters}" if chapters else "left out: the job has no chapters"
        raise InvalidRequest(f"Invalid value for 'chapter': it must be {most}.", param="chapter")
    return int(number)
