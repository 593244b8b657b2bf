"""The sound of a job as one file, or as a zip file, of which a client may have any range."""

from __future__ import annotations

import re
import zlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import NamedTuple, Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from proxy.audio.formats import WAV_HEADER_BYTES, true_wav
from proxy.errors import RangeNotSatisfiable
from proxy.features.jobs.core.files import JobFiles, KeptBlob
from proxy.features.jobs.core.records import JobClip
from proxy.features.jobs.core.zip_sound import ZipEntry, ZipLayout, joined_crc32
from proxy.http.connection import Connection
from proxy.http.endpoint import Header

RANGE = Header("Range", "A single range of bytes, such as `bytes=0-65535`.", "^bytes=.*$")
ZIP = "application/zip"
_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})", re.ASCII)


class Range(NamedTuple):
    """The bytes from `start` up to `end`."""

    start: int
    end: int


def range_of(header: str | None, size: int) -> Range | None:
    """Return the single range that is asked for. None: all, as for what is no single range of bytes.

    Raises RangeNotSatisfiable.
    """
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
    return Range(start, end)


class Ranged(Protocol):
    """Something of a known size, of which any part can be had."""

    @property
    def size(self) -> int: ...

    def parts(self, part: Range) -> AsyncGenerator[bytes, None]: ...


def whole_reply(whole: Ranged, name: str, media_type: str, header: str | None) -> Response:
    """Answer with all of it as a file of this name, or with the range. Raises RangeNotSatisfiable."""
    part = range_of(header, whole.size)
    headers = {"accept-ranges": "bytes"}
    if part is not None:
        headers["content-range"] = f"bytes {part.start}-{part.end - 1}/{whole.size}"
    given = part or Range(0, whole.size)
    headers["content-length"] = str(given.end - given.start)
    return StreamedFile(whole.parts(given), name, media_type, headers, 200 if part is None else 206)


class SummedBlob(KeptBlob, Protocol):
    """Bytes in the vault whose check sum is known."""

    @property
    def crc32(self) -> int: ...


class JobSound:
    """The blobs of a sound, one after the other, perhaps with a head before them and a tag behind."""

    def __init__(
        self, files: JobFiles, blobs: Sequence[SummedBlob], head: bytes = b"", tag: bytes = b""
    ) -> None:
        self._files = files
        self._blobs = blobs
        self._head, self._tag = head, tag
        self._end = len(head) + sum(blob.bytes for blob in blobs)
        self.size = self._end + len(tag)

    @classmethod
    def joined(cls, files: JobFiles, clips: Sequence[JobClip], format_: str) -> JobSound:
        """Return the sound of clips in a format in which they are a file when they are joined."""
        head, tag = b"", b""
        if format_ == "wav":
            samples = sum(clip.bytes for clip in clips)
            is_tagged = any(clip.source for clip in clips)
            head, tag = true_wav(WAV_HEADER_BYTES + samples, clips[0].sample_rate_hz, is_tagged=is_tagged)
        return cls(files, clips, head, tag)

    def crc32(self) -> int:
        blobs = [(blob.crc32, blob.bytes) for blob in self._blobs]
        ends = [(zlib.crc32(each), len(each)) for each in (self._head, self._tag)]
        return joined_crc32([ends[0], *blobs, ends[1]])

    async def parts(self, part: Range) -> AsyncGenerator[bytes, None]:
        start, end = part
        before = len(self._head)
        if start < before:
            yield self._head[start:end]
        blobs = self._files.parts(self._blobs, start - before, min(end, self._end) - before)
        async with aclosing(blobs) as sound:
            async for data in sound:
                yield data
        if end > self._end:
            yield self._tag[max(0, start - self._end) : end - self._end]


class ZipOfSounds:
    """Sounds as the files of a zip file, each with its name."""

    def __init__(self, sounds: Sequence[tuple[str, JobSound]]) -> None:
        self._sounds = [sound for _, sound in sounds]
        self._layout = ZipLayout([ZipEntry(name, sound.size, sound.crc32()) for name, sound in sounds])
        self.size = self._layout.size

    async def parts(self, part: Range) -> AsyncGenerator[bytes, None]:
        for own in self._layout.parts(*part):
            if isinstance(own, bytes):
                yield own
            else:
                of_entry = self._sounds[own.number].parts(Range(own.start, own.end))
                async with aclosing(of_entry) as sound:
                    async for data in sound:
                        yield data


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
