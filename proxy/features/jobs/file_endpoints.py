"""/v1/files, compatible with OpenAI's: uploads for batches and jobs, and the results of batches."""

from __future__ import annotations

from pathlib import PurePosixPath

from starlette.requests import Request
from starlette.responses import Response

from policies.tasks import SECOND_US
from proxy.access.callers import Caller, caller_of
from proxy.config.fields import missing_parameter
from proxy.errors import (
    Conflict,
    InvalidRequest,
    NoPlace,
    NotAllowed,
    NotFound,
    RangeNotSatisfiable,
    UnsupportedMediaType,
)
from proxy.feature import RevisionContext
from proxy.features.jobs.core import uploads
from proxy.features.jobs.core.content import ZIP, SoundZip, whole_reply
from proxy.features.jobs.core.records import JOBS, Job
from proxy.features.jobs.core.retention import stored_days
from proxy.features.jobs.core.uploads import FILES, FileSeal, Purpose, UploadedFile, UploadWriter
from proxy.features.jobs.kinds.batch.bodies import MICROS, DeletedFile, FileList, FileObject, NewFile
from proxy.features.jobs.kinds.batch.files import SUFFIXES, FileContent, parse_batch_file_id
from proxy.features.jobs.kinds.batch.kind import BatchKind
from proxy.features.jobs.section import SECTION
from proxy.file_store.sealed_blobs import StoredFile
from proxy.helpers.limiter import FairLimiter
from proxy.http.body import connection_of
from proxy.http.endpoint import Query
from proxy.http.form import MOST_FILE_BYTES, FormFile, RequestForm, form_values, stream_form
from proxy.http.lists import query_limit
from proxy.http.ranges import RANGE
from proxy.http.replies import reply
from proxy.http.resource import Resource, endpoint
from proxy.speech import speech_request
from proxy.storage.rows import new_id

JSONL = "application/jsonl"
BYTES = "application/octet-stream"
_TIMEOUT_S = 600.0
_MOST_UPLOADS, _MOST_OF_ACCOUNT = 32, 8
"""Uploads under way in a worker, each with a few megabytes in memory."""
_MOST_NAME_CHARACTERS = 255
_EXPIRY_FIELD = "expires_after[seconds]"
_LEAST_EXPIRY_S, _MOST_EXPIRY_S = 3600, 2_592_000
_MOST_LISTED_FILES = 10_000
_FILE_QUERIES = (
    Query("limit", f"How many, 1 to {_MOST_LISTED_FILES}. Without it, all."),
    Query("after", "The id of the last file of the page before."),
    Query("order", "By the time of the upload; without it, desc.", ("asc", "desc")),
    Query("purpose", "Only files of this purpose: batch or user_data."),
)


def upload_places() -> FairLimiter:
    return FairLimiter("uploads", places=_MOST_UPLOADS, of_account=_MOST_OF_ACCOUNT, at_once=_MOST_UPLOADS)


class Files(Resource):
    """The uploaded files of accounts, and the files with the results of their batches."""

    def __init__(self, kind: BatchKind, places: FairLimiter, context: RevisionContext) -> None:
        assert context.speaking is not None, "endpoints run in workers, which speak"
        self._files = kind.files
        self._store = kind.store
        self._vault = kind.files.vault
        self._batch_files = kind.batch_files
        self._stored = stored_days(SECTION.of(context.config).days, context.config.plans)
        self._counter = context.speaking.admission.counter
        self._places = places

    @endpoint(
        "POST",
        "/v1/files",
        FileObject,
        form=NewFile,
        files=("file",),
        failures=(NotAllowed, UnsupportedMediaType),
    )
    async def create_file(self, request: Request) -> Response:
        """Upload a file with the lines of a batch, or a file that a job names"""
        caller, connection = caller_of(request.scope), connection_of(request)
        writer = UploadWriter(self._files, caller.account)
        with self._places.reserve_place(caller.account):
            try:
                fields = (*NewFile.__struct_fields__, "expires_after")
                form = await stream_form(connection, {"file": writer}, fields, _TIMEOUT_S, writer.store_full)
                with connection.stop_when_client_leaves():
                    await writer.store_rest()
                    return reply(self._file_object(await self._add(caller, form, writer)))
            except BaseException:
                await writer.drop_blobs()
                raise

    async def _add(self, caller: Caller, form: RequestForm, writer: UploadWriter) -> UploadedFile:
        """Add the file of a form. Raises InvalidRequest, NotAllowed."""
        values = form_values(form, lists=())
        purpose_field = {name: values[name] for name in ("purpose",) if name in values}
        purpose = speech_request.read(NewFile, purpose_field).purpose
        lifetime_us = self._stored.us_of(caller.plan)
        if _EXPIRY_FIELD in values:
            lifetime_us = min(lifetime_us, _parse_expiry_us(str(values[_EXPIRY_FIELD])))
        upload = _check_upload(form.files.get("file"), writer, purpose)
        # OpenAI's ids of files have a hyphen.
        id_ = new_id("file").replace("_", "-")
        now = await self._store.now()
        sealed = await self._vault.seal_record(caller.account, id_, FileSeal(_shown_name(upload)))
        file = UploadedFile(
            id=id_,
            account=caller.account,
            created=now,
            expires=now + lifetime_us,
            bytes=writer.bytes,
            digest=writer.blobs[0][0],
            wrapped=sealed.wrapped,
            sealed=sealed.sealed,
            purpose=purpose,
        )
        if not await uploads.add_file(self._store, file, writer.blobs):
            raise NotAllowed(
                f"An account has {uploads.MOST_FILES} files at most, of {uploads.MOST_BYTES} bytes together; "
                "delete one first.",
                code="too_many_files",
            )
        return file

    @endpoint("GET", "/v1/files", FileList, queries=_FILE_QUERIES, failures=(InvalidRequest,), pace="list")
    async def list_files(self, request: Request) -> Response:
        """The files that were uploaded, the newest first"""
        query = request.query_params
        if query.get("order", "desc") not in ("asc", "desc"):
            raise InvalidRequest("Invalid value for 'order': it must be asc or desc.", param="order")
        # All rows fit into memory, because an account has at most MOST_FILES.
        rows = await FILES.of_account(self._store, caller_of(request.scope).account)
        if query.get("order") == "asc":
            rows.reverse()
        if wanted_purpose := query.get("purpose"):
            rows = [row for row in rows if row.purpose == wanted_purpose]
        if after := query.get("after"):
            places = [place for place, row in enumerate(rows) if row.id == after]
            if not places:
                raise InvalidRequest(
                    "Invalid value for 'after': it must be the id of a listed file.", param="after"
                )
            rows = rows[places[0] + 1 :]
        limit = query_limit(request, _MOST_LISTED_FILES) or _MOST_LISTED_FILES
        data = [self._file_object(row) for row in rows[:limit]]
        first, last = (data[0].id, data[-1].id) if data else (None, None)
        return reply(FileList(data=data, has_more=len(rows) > limit, first_id=first, last_id=last))

    @endpoint("GET", "/v1/files/{id}", FileObject, failures=(NotFound, NoPlace))
    async def get_file(self, request: Request) -> Response:
        """One file: an upload, or a result of a batch"""
        account, id_ = caller_of(request.scope).account, request.path_params["id"]
        if (batch_file := parse_batch_file_id(id_)) is None:
            return reply(self._file_object(await self._find(account, id_)))
        batch, content = batch_file
        job, stored = await self._find_batch_file(request, batch, content)
        return reply(
            FileObject(
                id=id_,
                bytes=stored.size,
                created_at=(job.ended or job.created) // MICROS,
                expires_at=None,
                filename=f"{job.id}_{content}.{SUFFIXES[content]}",
                purpose="batch_output",
            )
        )

    @endpoint(
        "GET",
        "/v1/files/{id}/content",
        media=(JSONL, ZIP, BYTES),
        failures=(NotFound, RangeNotSatisfiable, NoPlace),
        request_headers=(RANGE,),
    )
    async def get_file_content(self, request: Request) -> Response:
        """The content of a file, or a range of it"""
        account, id_ = caller_of(request.scope).account, request.path_params["id"]
        header = request.headers.get("range")
        if (batch_file := parse_batch_file_id(id_)) is not None:
            batch, content = batch_file
            job, stored = await self._find_batch_file(request, batch, content)
            suffix = SUFFIXES[content]
            name = f"{job.id}_{content}.{suffix}"
            return whole_reply(stored, name, ZIP if suffix == "zip" else JSONL, header)
        file = await self._find(account, id_)
        suffix, media_type = ("jsonl", JSONL) if file.purpose == "batch" else ("bin", BYTES)
        uploaded = await uploads.file_content(self._files, file)
        return whole_reply(uploaded, f"{file.id}.{suffix}", media_type, header)

    @endpoint("DELETE", "/v1/files/{id}", DeletedFile, failures=(NotFound, Conflict))
    async def delete_file(self, request: Request) -> Response:
        """Delete an uploaded file. Jobs that were made from it continue"""
        account, id_ = caller_of(request.scope).account, request.path_params["id"]
        if (batch_file := parse_batch_file_id(id_)) is not None:
            await self._find_ended_batch(request, batch_file[0])
            raise Conflict("It is a part of its batch: DELETE /v1/jobs/{id} deletes that.", param="id")
        file = await self._find(account, id_)
        if not await uploads.remove_file(self._files, file.id, account):
            raise _file_not_found(id_)
        return reply(DeletedFile(id=id_))

    def _file_object(self, file: UploadedFile) -> FileObject:
        return FileObject(
            id=file.id,
            bytes=file.bytes,
            created_at=file.created // MICROS,
            expires_at=file.expires // MICROS,
            filename=self._vault.open_record(file.account, file.id, file.seal, FileSeal).name,
            purpose=file.purpose,
        )

    async def _find(self, account: str, id_: str) -> UploadedFile:
        file = await FILES.get(self._store, account, id_) if id_.isprintable() else None
        if file is None:
            raise _file_not_found(id_)
        return file

    async def _find_ended_batch(self, request: Request, batch: str) -> Job:
        """Return a batch that has ended. Raises NotFound for the file in the path if there is none."""
        job = await JOBS.get(self._store, caller_of(request.scope).account, batch)
        if job is None or job.kind != "batch" or job.ended is None:
            raise _file_not_found(request.path_params["id"])
        return job

    async def _find_batch_file(
        self, request: Request, batch: str, content: FileContent
    ) -> tuple[Job, StoredFile | SoundZip]:
        """Return an ended batch and one of its files. Raises NotFound, RateLimited and NoPlace."""
        job = await self._find_ended_batch(request, batch)
        stored = await self._batch_files.build_file(self._counter, request.scope, job, content)
        if stored is None:
            raise _file_not_found(request.path_params["id"])
        return job, stored


def _parse_expiry_us(text: str) -> int:
    """Return the lifetime that a client names for its file, in microseconds. Raises InvalidRequest."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(_MOST_EXPIRY_S))
    if not is_number or not _LEAST_EXPIRY_S <= int(text) <= _MOST_EXPIRY_S:
        raise InvalidRequest(
            f"Invalid value for '{_EXPIRY_FIELD}': it must be a number "
            f"from {_LEAST_EXPIRY_S} to {_MOST_EXPIRY_S}.",
            param=_EXPIRY_FIELD,
        )
    return int(text) * SECOND_US


def _check_upload(upload: FormFile | None, writer: UploadWriter, purpose: Purpose) -> FormFile:
    if upload is None:
        raise missing_parameter("file")
    if not writer.bytes or (writer.is_blank and purpose == "batch"):
        raise InvalidRequest("Invalid value for 'file': it is empty.", param="file", code="empty_file")
    if purpose == "batch" and writer.bytes > MOST_FILE_BYTES:
        raise InvalidRequest(
            f"Invalid value for 'file': the file of a batch is larger than {MOST_FILE_BYTES} bytes.",
            param="file",
            code="file_too_large",
        )
    if purpose == "batch" and not upload.client_name.lower().endswith(".jsonl"):
        raise InvalidRequest(
            "Invalid value for 'file': a batch is of lines of JSON, in a file whose name ends with .jsonl.",
            param="file",
        )
    return upload


def _shown_name(upload: FormFile) -> str:
    """Return the name of a file to show: without folders and without unprintable characters."""
    name = "".join(each for each in upload.client_name if each.isprintable())
    return PurePosixPath(name.replace("\\", "/")).name[-_MOST_NAME_CHARACTERS:]


def _file_not_found(id_: str) -> NotFound:
    return NotFound(f"The file '{id_[:80]}' does not exist.", param="id", code="file_not_found")
