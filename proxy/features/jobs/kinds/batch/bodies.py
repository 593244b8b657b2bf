"""Files and batches as OpenAI's clients send and read them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from proxy.features.jobs.core.uploads import FileId, Purpose
from proxy.features.jobs.kinds.batch.lines import ENDPOINT, LineFault
from proxy.http.body import Title
from proxy.http.lists import Listing
from proxy.speech.usage_tag import Tag

MICROS = 1_000_000

Metadata = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]],
    Meta(max_length=16, description="an object of up to 16 texts of up to 512 characters by their names"),
]
Status = Literal["failed", "in_progress", "completed", "expired", "cancelled"]


class BatchBody(msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /v1/batches."""

    input_file_id: FileId
    endpoint: Annotated[Literal["/v1/audio/speech"], Meta(description=ENDPOINT)]
    completion_window: Annotated[Literal["24h"], Meta(description="24h")]
    metadata: Metadata | None = None
    tag: Tag | None = None

    def __repr__(self) -> str:
        return f"<BatchBody of {self.input_file_id[:40]}>"


class BatchJobBody(msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /v1/jobs for a batch."""

    kind: Annotated[Literal["batch"], Meta(description="batch")]
    input_file_id: FileId
    metadata: Metadata | None = None
    tag: Tag | None = None
    title: Title = ""

    def __repr__(self) -> str:
        return f"<BatchJobBody of {self.input_file_id[:40]}>"


class NewFile(msgspec.Struct, frozen=True, kw_only=True):
    """The texts of the form of POST /v1/files. With `expires_after[seconds]`, the file goes sooner."""

    purpose: Annotated[Purpose, Meta(description="batch or user_data")]


class FileObject(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was uploaded, or one that a batch gives."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    expires_at: int | None
    filename: str
    purpose: Literal["batch", "batch_output", "user_data"]
    status: Literal["processed"] = "processed"


class FileList(Listing, frozen=True, kw_only=True):
    data: list[FileObject]
    first_id: str | None


class DeletedFile(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True


class BatchErrors(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[LineFault]


class RequestCounts(msgspec.Struct, frozen=True, kw_only=True):
    total: int
    completed: int
    failed: int


class BatchObject(msgspec.Struct, frozen=True, kw_only=True):
    """A batch. It is the job of this id, too. Its sounds are in the zip file `sound_file_id`."""

    id: str
    object: Literal["batch"] = "batch"
    endpoint: Literal["/v1/audio/speech"] = "/v1/audio/speech"
    errors: BatchErrors | None
    input_file_id: str
    completion_window: Literal["24h"] = "24h"
    status: Status
    output_file_id: str | None
    error_file_id: str | None
    sound_file_id: str | None
    created_at: int
    in_progress_at: int | None
    expires_at: int
    finalizing_at: int | None
    completed_at: int | None
    failed_at: int | None
    expired_at: int | None
    cancelling_at: int | None
    cancelled_at: int | None
    request_counts: RequestCounts
    metadata: dict[str, str] | None


class BatchList(Listing, frozen=True, kw_only=True):
    data: list[BatchObject]
