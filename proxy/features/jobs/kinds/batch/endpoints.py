"""/v1/files and /v1/batches, compatible with OpenAI's. A batch has requests for speech only."""

from __future__ import annotations

from pathlib import PurePosixPath

from starlette.requests import Request
from starlette.responses import Response

from policies.tasks import SECOND
from proxy.access.callers import Caller, caller_of
from proxy.api.answering import TAG
from proxy.api.speech import SPEECH_FAILURES
from proxy.api.speech_forms import BackgroundRequest
from proxy.errors import (
    Conflict,
    IdempotencyKeyReused,
    InvalidRequest,
    NoPlace,
    NotAllowed,
    NotFound,
    RangeNotSatisfiable,
    UnsupportedMediaType,
)
from proxy.feature import RevisionContext
from proxy.features.jobs.core import ends, records
from proxy.features.jobs.core.content import ZIP, SoundZip, whole_reply
from proxy.features.jobs.core.making import count_canceled
from proxy.features.jobs.core.records import JOBS, Job, Made
from proxy.features.jobs.core.retention import stored_days
from proxy.features.jobs.core.steps import Steps
from proxy.features.jobs.kinds.batch import uploads
from proxy.features.jobs.kinds.batch.bodies import (
    MICROS,
    BatchBody,
    BatchList,
    BatchObject,
    DeletedFile,
    FileList,
    FileObject,
    NewFile,
)
from proxy.features.jobs.kinds.batch.files import SUFFIXES, What, job_of
from proxy.features.jobs.kinds.batch.kind import BATCHES, BatchKind, failed_lines, shown_batch
from proxy.features.jobs.kinds.batch.uploads import FILES, FileSeal, UploadedFile
from proxy.features.jobs.section import SECTION
from proxy.file_store.sealed_blobs import Blob, StoredFile
from proxy.http.body import raw_body
from proxy.http.endpoint import Query
from proxy.http.form import MOST_FILE_BYTES, FormFile, form_values, read_form
from proxy.http.idempotency import KEY_HEADER, read_key
from proxy.http.lists import Page, query_limit, table_page
from proxy.http.ranges import RANGE
from proxy.http.replies import reply
from proxy.http.resource import Resource, endpoint
from proxy.speech import speech_request
from proxy.speech.speech_request import Defaults
from proxy.speech.usage_tag import TAG_HEADER
from proxy.storage.rows import new_id

JSONL = "application/jsonl"
_MOST_NAME_CHARACTERS = 255
_EXPIRY_FIELD = "expires_after[seconds]"
_LEAST_EXPIRY_S, _MOST_EXPIRY_S = 3600, 2_592_000
_MOST_LISTED_FILES = 10_000
_USUAL_BATCHES, _MOST_BATCHES = 20, 100
_FILE_QUERIES = (
    Query("limit", f"How many, 1 to {_MOST_LISTED_FILES}. Without it, all."),
    Query("after", "The id of the last file of the page before."),
    Query("order", "By the time of the upload; without it, desc.", ("asc", "desc")),
    Query("purpose", "Only files of this purpose. All listed files have the purpose batch."),
)
_BATCH_QUERIES = (
    Query("limit", f"How many, 1 to {_MOST_BATCHES}. Without it, {_USUAL_BATCHES}."),
    Query("after", "The id of the last batch of the page before."),
)


class Files(Resource):
    """The uploaded files of accounts, and the files with the results of their batches."""

    def __init__(self, kind: BatchKind, context: RevisionContext) -> None:
        assert context.speaking is not None, "endpoints run in workers, which speak"
        self._files = kind.files
        self._store = kind.store
        self._vault = kind.files.vault
        self._batch_files = kind.batch_files
        self._stored = stored_days(SECTION.of(context.config).days, context.config.plans)
        self._counter = context.speaking.admission.counter

    @endpoint(
        "POST",
        "/v1/files",
        FileObject,
        form=NewFile,
        files=("file",),
        failures=(NotAllowed, UnsupportedMediaType),
    )
    async def create_file(self, request: Request) -> Response:
        """Upload a file with the lines of a batch"""
        caller = caller_of(request.scope)
        account = caller.account
        form = await read_form(
            request, files={"file": MOST_FILE_BYTES}, fields=(*NewFile.__struct_fields__, "expires_after")
        )
        values = form_values(form, lists=())
        speech_request.read(NewFile, {name: values[name] for name in ("purpose",) if name in values})
        lifetime_us = self._stored.us_of(caller.plan)
        if _EXPIRY_FIELD in values:
            lifetime_us = min(lifetime_us, _parse_expiry_us(str(values[_EXPIRY_FIELD])))
        upload = _require_jsonl(form.files.get("file"))
        name, size = _shown_name(upload), len(upload.data)
        del upload  # nothing but `put` holds its bytes
        # OpenAI's ids of files have a hyphen.
        id_ = new_id("file").replace("_", "-")
        now = await self._store.now()
        sealed = await self._vault.seal_record(account, id_, FileSeal(name))
        file = UploadedFile(
            id=id_,
            account=account,
            created=now,
            expires=now + lifetime_us,
            bytes=size,
            digest=await self._files.put(account, form.files.pop("file").data),
            wrapped=sealed.wrapped,
            sealed=sealed.sealed,
        )
        if not await uploads.add(self._store, file):
            await self._files.drop(account, file.digest)
            raise NotAllowed(
                f"An account has {uploads.MOST_FILES} files at most, of {uploads.MOST_BYTES} bytes together; "
                "delete one first.",
                code="too_many_files",
            )
        return reply(self._file_object(file))

    @endpoint("GET", "/v1/files", FileList, queries=_FILE_QUERIES, failures=(InvalidRequest,), pace="list")
    async def list_files(self, request: Request) -> Response:
        """The files that were uploaded, the newest first"""
        query = request.query_params
        if query.get("order", "desc") not in ("asc", "desc"):
            raise InvalidRequest("Invalid value for 'order': it must be asc or desc.", param="order")
        # They fit into one list, because an account has at most MOST_FILES.
        rows = await FILES.of_account(self._store, caller_of(request.scope).account)
        if query.get("order") == "asc":
            rows.reverse()
        if query.get("purpose", "batch") != "batch":
            rows = []
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
        if (batch_file := job_of(id_)) is None:
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
        media=(JSONL, ZIP),
        failures=(NotFound, RangeNotSatisfiable, NoPlace),
        request_headers=(RANGE,),
    )
    async def get_file_content(self, request: Request) -> Response:
        """The content of a file, or a range of it"""
        account, id_ = caller_of(request.scope).account, request.path_params["id"]
        header = request.headers.get("range")
        if (batch_file := job_of(id_)) is not None:
            batch, content = batch_file
            job, stored = await self._find_batch_file(request, batch, content)
            suffix = SUFFIXES[content]
            name = f"{job.id}_{content}.{suffix}"
            return whole_reply(stored, name, ZIP if suffix == "zip" else JSONL, header)
        file = await self._find(account, id_)
        uploaded = StoredFile(self._files, account, [Blob(file.digest, 0, file.bytes)])
        return whole_reply(uploaded, f"{file.id}.jsonl", JSONL, header)

    @endpoint("DELETE", "/v1/files/{id}", DeletedFile, failures=(NotFound, Conflict))
    async def delete_file(self, request: Request) -> Response:
        """Delete an uploaded file. A batch that was made from it continues"""
        account, id_ = caller_of(request.scope).account, request.path_params["id"]
        if (batch_file := job_of(id_)) is not None:
            await self._ended_batch(request, batch_file[0])
            raise Conflict("It is a part of its batch: DELETE /v1/jobs/{id} deletes that.", param="id")
        file = await self._find(account, id_)
        if not await uploads.remove(self._files, file.id, account):
            raise _no_file(id_)
        return reply(DeletedFile(id=id_))

    def _file_object(self, file: UploadedFile) -> FileObject:
        return FileObject(
            id=file.id,
            bytes=file.bytes,
            created_at=file.created // MICROS,
            expires_at=file.expires // MICROS,
            filename=self._vault.open_record(file.account, file.id, file.seal, FileSeal).name,
            purpose="batch",
        )

    async def _find(self, account: str, id_: str) -> UploadedFile:
        file = await FILES.get(self._store, account, id_) if id_.isprintable() else None
        if file is None:
            raise _no_file(id_)
        return file

    async def _ended_batch(self, request: Request, batch: str) -> Job:
        """Return a batch that has ended. Raises NotFound for the file in the path if there is none."""
        job = await JOBS.get(self._store, caller_of(request.scope).account, batch)
        if job is None or job.kind != "batch" or job.ended is None:
            raise _no_file(request.path_params["id"])
        return job

    async def _find_batch_file(
        self, request: Request, batch: str, content: What
    ) -> tuple[Job, StoredFile | SoundZip]:
        """Return an ended batch and one of its files. Raises NotFound, RateLimited and NoPlace."""
        job = await self._ended_batch(request, batch)
        stored = await self._batch_files.of(self._counter, request.scope, job, content)
        if stored is None:
            raise _no_file(request.path_params["id"])
        return job, stored


class Batches(Resource):
    """Endpoints to make, list, read and cancel batches."""

    def __init__(self, kind: BatchKind, context: RevisionContext, steps: Steps) -> None:
        assert context.speaking is not None, "endpoints run in workers, which speak"
        self._kind = kind
        self._store = kind.store
        self._vault = kind.files.vault
        self._admission = context.speaking.admission
        self._steps = steps

    @endpoint(
        "POST",
        "/v1/batches",
        BatchObject,
        body=BatchBody,
        failures=(NotFound, IdempotencyKeyReused, *SPEECH_FAILURES),
        request_headers=(KEY_HEADER, TAG),
        pace="own",
    )
    async def create_batch(self, request: Request) -> Response:
        """Have the lines of an uploaded file spoken, within a day"""
        caller: Caller = caller_of(request.scope)
        terms, _ = await self._admission.admit(caller)
        raw = await raw_body(request)
        query = speech_request.parse(BatchBody, raw)
        key = read_key(request.headers.getlist("idempotency-key"))
        tags, id_ = request.headers.getlist(TAG_HEADER), request.scope["state"]["request_id"]
        background = BackgroundRequest(id_, self._admission, caller, terms, raw, Defaults(), key, tags)
        job, headers = await self._kind.make_batch(background, query)
        self._steps.look_soon()
        self._kind.notices.look_soon()
        return await self._reply_with(job, headers)

    @endpoint(
        "GET", "/v1/batches", BatchList, queries=_BATCH_QUERIES, failures=(InvalidRequest,), pace="list"
    )
    async def list_batches(self, request: Request) -> Response:
        """The account's batches, the newest first"""
        account = caller_of(request.scope).account
        listed: Page[Job] = await table_page(
            request,
            BATCHES,
            self._store,
            account,
            usual=_USUAL_BATCHES,
            most=_MOST_BATCHES,
        )
        ids = [job.id for job in listed.rows]
        made, failed = await records.made(self._store, ids), await failed_lines(self._store, ids)
        return await listed.list_response(
            BatchList,
            lambda job: shown_batch(self._vault, job, made.get(job.id, Made()), failed.get(job.id, 0)),
        )

    @endpoint("GET", "/v1/batches/{id}", BatchObject, failures=(NotFound,))
    async def get_batch(self, request: Request) -> Response:
        """One batch"""
        return await self._reply_with(await self._find(request))

    @endpoint("POST", "/v1/batches/{id}/cancel", BatchObject, failures=(NotFound,))
    async def cancel_batch(self, request: Request) -> Response:
        """End a batch. The finished lines stay"""
        job = await self._find(request)
        await count_canceled(self._admission, caller_of(request.scope), job)
        await ends.end(self._store, job, "canceled", self._kind.notices, events=self._kind.events)
        self._steps.look_at_leases()
        self._kind.notices.look_soon()
        return await self._reply_with(await self._find(request))

    async def _find(self, request: Request) -> Job:
        id_ = request.path_params["id"]
        job = None
        if id_.isprintable():
            job = await JOBS.get(self._store, caller_of(request.scope).account, id_)
        if job is None or job.kind != "batch":
            raise NotFound(f"The batch '{id_[:80]}' does not exist.", param="id", code="batch_not_found")
        return job

    async def _reply_with(self, job: Job, headers: dict[str, str] | None = None) -> Response:
        made, failed = await records.made(self._store, [job.id]), await failed_lines(self._store, [job.id])
        shown = shown_batch(self._vault, job, made.get(job.id, Made()), failed.get(job.id, 0))
        return reply(shown, headers=headers)


def _parse_expiry_us(text: str) -> int:
    """Return the lifetime that a client names for its file, in microseconds. Raises InvalidRequest."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(_MOST_EXPIRY_S))
    if not is_number or not _LEAST_EXPIRY_S <= int(text) <= _MOST_EXPIRY_S:
        raise InvalidRequest(
            f"Invalid value for '{_EXPIRY_FIELD}': it must be a number "
            f"from {_LEAST_EXPIRY_S} to {_MOST_EXPIRY_S}.",
            param=_EXPIRY_FIELD,
        )
    return int(text) * SECOND


def _require_jsonl(upload: FormFile | None) -> FormFile:
    if upload is None:
        raise InvalidRequest(
            "Missing required parameter: 'file'.", param="file", code="missing_required_parameter"
        )
    if not upload.data or upload.data.isspace():
        raise InvalidRequest("Invalid value for 'file': it is empty.", param="file", code="empty_file")
    if not upload.called.lower().endswith(".jsonl"):
        raise InvalidRequest(
            "Invalid value for 'file': a batch is of lines of JSON, in a file whose name ends with .jsonl.",
            param="file",
        )
    return upload


def _shown_name(upload: FormFile) -> str:
    """Return the name of a file to show: without folders and without unprintable characters."""
    name = "".join(each for each in upload.called if each.isprintable())
    return PurePosixPath(name.replace("\\", "/")).name[-_MOST_NAME_CHARACTERS:]


def _no_file(id_: str) -> NotFound:
    return NotFound(f"The file '{id_[:80]}' does not exist.", param="id", code="file_not_found")
