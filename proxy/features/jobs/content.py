"""The sound of a job as one file, of which a client may have any range."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from proxy.audio.formats import MEDIA_TYPES, SAMPLE_BYTES, wav_header
from proxy.errors import RangeNotSatisfiable
from proxy.features.jobs.kept import JobFiles
from proxy.features.jobs.records import JobClip
from proxy.http.connection import Connection
from proxy.http.endpoint import Header

RANGE = Header("Range", "A single range of bytes, such as `bytes=0-65535`.", "^bytes=.*$")
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
            f"Invalid header 'Range': the sound has {size} bytes.",
            param="Range",
            headers={"content-range": f"bytes */{size}"},
        )
    return Range(start, end)


class JobSound:
    """The clips of a job, joined."""

    def __init__(self, files: JobFiles, clips: Sequence[JobClip], format_: str) -> None:
        self._files = files
        self._clips = clips
        self._format = format_
        self._header = b""
        body = sum(clip.bytes for clip in clips)
        if format_ == "wav":
            self._header = wav_header(body // SAMPLE_BYTES, clips[0].sample_rate_hz)
        self.size = len(self._header) + body

    def __repr__(self) -> str:
        return f"<JobSound of {len(self._clips)} clips, {self.size} bytes>"

    def reply(self, job: str, header: str | None) -> Response:
        """Answer with all of it, or with the range. Raises RangeNotSatisfiable."""
        part = range_of(header, self.size)
        headers = {
            "accept-ranges": "bytes",
            "cache-control": "no-store",
            "content-type": MEDIA_TYPES[self._format],
            "content-disposition": f'attachment; filename="{job}.{self._format}"',
        }
        if part is not None:
            headers["content-range"] = f"bytes {part.start}-{part.end - 1}/{self.size}"
        whole = part or Range(0, self.size)
        headers["content-length"] = str(whole.end - whole.start)
        return _SoundReply(self.parts(whole), 200 if part is None else 206, headers)

    async def parts(self, part: Range) -> AsyncIterator[bytes]:
        before = len(self._header)
        if part.start < before:
            yield self._header[part.start : part.end]
        async for data in self._files.parts(self._clips, part.start - before, part.end - before):
            yield data


class _SoundReply(Response):
    """A part of a sound. A failure in its middle breaks the connection."""

    def __init__(self, parts: AsyncIterator[bytes], status: int, headers: dict[str, str]) -> None:
        super().__init__(status_code=status, headers=headers)
        self.headers["content-length"] = headers["content-length"]
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = Connection(scope, receive, send)
        with connection.stop_when_client_leaves():
            connection.set_head(self.status_code, self.raw_headers)
            async for data in self._parts:
                await connection.send(data)
            await connection.end(b"")
