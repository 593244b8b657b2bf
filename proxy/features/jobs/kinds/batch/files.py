"""Builds the files of a batch: its answers, its failures, and a zip file of its sounds. None is stored. Each
read builds the file of the present steps and clips, so erased or deleted sound is never in it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from typing import Literal, get_args

import msgspec
from starlette.responses import Response
from starlette.types import Scope

from proxy.access.admission import RequestCounter
from proxy.audio.formats import MEDIA_TYPES
from proxy.errors import ErrorDetail, ErrorEnvelope
from proxy.features.jobs.core.content import SoundZip, whole_reply
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.records import Job, JobClip
from proxy.features.jobs.kinds.batch.lines import decode_line, named_lines
from proxy.file_store.sealed_blobs import PREFIX_BYTES, BlobRange, StoredFile
from proxy.helpers.limiter import FairLimiter
from proxy.http.replies import encode_json
from proxy.storage.store import Row

FileContent = Literal["output", "errors", "sound"]
SUFFIXES: dict[FileContent, str] = {"output": "jsonl", "errors": "jsonl", "sound": "zip"}
_ID = re.compile(rf"file-(job_[0-9a-z]{{1,40}})-({'|'.join(get_args(FileContent))})", re.ASCII)
_PLACES, _OF_ACCOUNT, _AT_ONCE = 32, 4, 2
"""The limits of files that are built at the same time. A file with very many lines takes a quarter of a
second."""
_LINES = """
SELECT job_steps.id, job_steps.number, first, last, state, error, request, job_clips.digest, bytes,
    told, blobs.size AS told_bytes
FROM job_steps LEFT JOIN job_clips ON job_clips.step = job_steps.id
LEFT JOIN blobs ON blobs.account = job_clips.account AND blobs.digest = job_clips.told
WHERE job_steps.job = :job ORDER BY job_steps.number
"""
_REASONS = {
    "done": ("voice_erased", "The voice that spoke this line was erased."),
    "canceled": ("batch_cancelled", "The batch was cancelled before this line was spoken."),
    "expired": ("batch_expired", "The batch expired before this line was spoken."),
    "failed": ("batch_failed", "The batch failed before this line was spoken."),
}
"""The code and the message of a line without sound, by the state of its step, or of its batch if the step was
canceled."""


class LineFailure(msgspec.Struct, frozen=True):
    """The failure of a line: the status and the error that a request for speech would have got."""

    status_code: int
    error: ErrorDetail


class _Line(msgspec.Struct, frozen=True):
    id: str
    number: int
    first: int
    last: int
    state: str
    error: str
    request: str | None
    digest: str | None
    bytes: int | None
    told: str | None
    told_bytes: int | None


def file_id(job: str, content: FileContent) -> str:
    return f"file-{job}-{content}"


def parse_batch_file_id(file: str) -> tuple[str, FileContent] | None:
    """Return the batch that the id of a file names, and the file's content. None: the file was uploaded."""
    match = _ID.fullmatch(file)
    if match is None:
        return None
    content: FileContent = match[2]  # type: ignore[assignment]  # the pattern has these alone
    return match[1], content


class BatchFiles:
    """Builds the files of batches. Each read builds a file again, so the reads have a limiter."""

    def __init__(self, files: JobFiles) -> None:
        self._files = files
        self._places = FairLimiter(
            "files of batches", places=_PLACES, of_account=_OF_ACCOUNT, at_once=_AT_ONCE
        )

    async def build_file(
        self, counter: RequestCounter, scope: Scope, job: Job, content: FileContent
    ) -> StoredFile | SoundZip | None:
        """Build a file of a batch. None: it would be empty. Raises RateLimited, NoPlace and StorageFailed."""
        await counter.count("file", scope)
        async with self._places.hold_turn(job.account):
            text = await self._files.whole(job.account, job.digest)
            rows = await self._files.store.read_long(_LINES, {"job": job.id})
            return await asyncio.to_thread(self._lay_out, job, content, text, rows)

    def _lay_out(
        self, job: Job, content: FileContent, text: bytes, rows: Sequence[Row]
    ) -> StoredFile | SoundZip | None:
        lines = [msgspec.convert(row, _Line) for row in rows]
        segments: list[bytes | BlobRange]
        if content == "errors":
            failed = (line for line in lines if not line.digest and line.state != "wanted")
            named = ((line, decode_line(text[line.first : line.last]).custom_id) for line in failed)
            segments = [_failed_line(job, line, custom_id) for line, custom_id in named]
        else:
            names = named_lines(text[line.first : line.last] for line in lines)
            spoken = [(line, name) for line, name in zip(lines, names, strict=True) if line.digest]
            if content == "sound" and spoken:
                return SoundZip([(file, self._sound(job, line)) for line, (_, file) in spoken])
            segments = [segment for line, name in spoken for segment in _output_line(line, *name)]
        return StoredFile(self._files, job.account, segments) if segments else None

    def _sound(self, job: Job, line: _Line) -> StoredFile:
        return StoredFile(self._files, job.account, [BlobRange(line.digest or "", 0, line.bytes or 0)])


def _output_line(line: _Line, custom_id: str, file: str) -> Iterator[bytes | BlobRange]:
    """Yield the parts of a line of the output. The report about the sound, in its middle, is read from the
    vault."""
    ids = {"id": _request_of(line), "custom_id": custom_id}
    response = {"status_code": 200, "request_id": line.request, "body": {"file": file}}
    head = encode_json({**ids, "response": response})
    yield head.removesuffix(b"}}}")
    if line.told and line.told_bytes is not None:
        # The fields of the report follow in the same JSON object, so its first brace is left out.
        yield b","
        yield BlobRange(line.told, 1, line.told_bytes - PREFIX_BYTES)
    else:
        yield b"}"
    yield b'},"error":null}\n'


def _failed_line(job: Job, line: _Line, custom_id: str) -> bytes:
    """Return a line of the errors."""
    request, response = _request_of(line), None
    if line.state == "failed":
        failure = msgspec.json.decode(line.error, type=LineFailure)
        code, message = failure.error.code, failure.error.message
        body = ErrorEnvelope(failure.error)
        response = {"status_code": failure.status_code, "request_id": request, "body": body}
    else:
        code, message = _REASONS[job.state if line.state == "canceled" else line.state]
    ids = {"id": request, "custom_id": custom_id}
    return encode_json({**ids, "response": response, "error": {"code": code, "message": message}}) + b"\n"


def _request_of(line: _Line) -> str:
    return f"batch_req_{line.id}"


class _ClipReport(msgspec.Struct, frozen=True):
    audio_format: str


async def clip_reply(files: JobFiles, clip: JobClip, header: str | None) -> Response:
    """Answer with the sound of a line as a file. Raises RangeNotSatisfiable, StorageFailed."""
    format_ = msgspec.json.decode(await files.report_of(clip), type=_ClipReport).audio_format
    whole = StoredFile.of_blobs(files, [clip])
    return whole_reply(whole, f"{clip.step}.{format_}", MEDIA_TYPES[format_], header)


def shown_line_error(error: str) -> str:
    """Return the message to show for the stored error of a line. An error of a try that is repeated is plain
    text."""
    try:
        return msgspec.json.decode(error, type=LineFailure).error.message
    except msgspec.MsgspecError:
        return error
