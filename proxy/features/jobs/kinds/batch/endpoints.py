"""/v1/files and /v1/batches, as OpenAI has them, for requests for speech."""

from __future__ import annotations

from functools import partial
from pathlib import PurePosixPath

from starlette.requests import Request
from starlette.responses import Response

from policies.tasks import SECOND
from proxy.access.callers import Caller, caller_of
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
from proxy.features.jobs.core.content import RANGE, ZIP, Blob, SoundZip, StoredFile, whole_reply
from proxy.features.jobs.core.records import JOBS, Job, Made
from proxy.features.jobs.core.retention import stored_us
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
from proxy.http.body import raw_body
from proxy.http.endpoint import Query
from proxy.http.form import MOST_FILE_BYTES, FormFile, form_values, read_form
from proxy.http.idempotency import KEY_HEADER, read_key
from proxy.http.lists import Page, page, query_limit
from proxy.http.replies import reply
from proxy.http.resource import Resource, endpoint
from proxy.speech import speech_request
from proxy.speech.speech_request import Defaults
from proxy.storage.rows import new_id

JSONL = "application/jsonl"
_MOST_NAME = 255
_EXPIRES = "expires_after[seconds]"
_LEAST_S, _MOST_S = 3600, 2_592_000
_MOST_LISTED = 10_000
_USUAL_BATCHES, _MOST_BATCHES = 20, 100
_OF_FILES = (
    Query("limit", f"How many, 1 to {_MOST_LISTED}. Without it, all."),
    Query("after", "The id of the last file of the page before."),
    Query("order", "By the time when they came; without it, desc.", ("asc", "desc")),
    Query("purpose", "Only files of this purpose. All that are listed have batch."),
)
_OF_BATCHES = (
    Query("limit", f"How many, 1 to {_MOST_BATCHES}. Without it, {_USUAL_BATCHES}."),
    Query("after", "The id of the last batch of the page before."),
)


class Files(Resource):
    """Files that accounts have uploaded, and those that their batches give."""

    def __init__(self, kind: BatchKind, at: RevisionContext) -> None:
        assert at.speaking is not None, "a worker speaks"
        self._files = kind.files
        self._store = kind.store
        self._vault = kind.files.vault
        self._batch_files = kind.batch_files
        self._days, self._plans = SECTION.of(at.config).days, at.config.plans
        self._counter = at.speaking.admission.counter

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
        lasts_us = stored_us(self._days, self._plans, caller.plan)
        if _EXPIRES in values:
            lasts_us = min(lasts_us, _wanted_us(str(values[_EXPIRES])))
        upload = _checked(form.files.get("file"))
        id_, now = new_id("file").replace("_", "-"), await self._store.now()
        sealed = await self._vault.seal_record(account, id_, FileSeal(_name(upload)))
        file = UploadedFile(
            id=id_,
            account=account,
            created=now,
            expires=now + lasts_us,
            bytes=len(upload.data),
            digest=await self._files.put(account, upload.data),
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
        return reply(self._shown(file))

    @endpoint("GET", "/v1/files", FileList, queries=_OF_FILES, failures=(InvalidRequest,))
    async def list_files(self, request: Request) -> Response:
        """The files that were uploaded, the newest first"""
        query = request.query_params
        if query.get("order", "desc") not in ("asc", "desc"):
            raise InvalidRequest("Invalid value for 'order': it must be asc or desc.", param="order")
        # There are few: an account has a bound.
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
        limit = query_limit(request, _MOST_LISTED) or _MOST_LISTED
        data = [self._shown(row) for row in rows[:limit]]
        first, last = (data[0].id, data[-1].id) if data else (None, None)
        return reply(FileList(data=data, has_more=len(rows) > limit, first_id=first, last_id=last))

    @endpoint("GET", "/v1/files/{id}", FileObject, failures=(NotFound, NoPlace))
    async def get_file(self, request: Request) -> Response:
        """One file, also one that a batch gives"""
        account, id_ = caller_of(request.scope).account, request.path_params["id"]
        if (of_batch := job_of(id_)) is None:
            return reply(self._shown(await self._found(account, id_)))
        job, whole = await self._file_of(request, *of_batch)
        return reply(
            FileObject(
                id=id_,
                bytes=whole.size,
                created_at=(job.ended or job.created) // MICROS,
                expires_at=None,
                filename=f"{job.id}_{of_batch[1]}.{SUFFIXES[of_batch[1]]}",
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
        """What is in a file, or a range of it"""
        account, id_ = caller_of(request.scope).account, request.path_params["id"]
        header = request.headers.get("range")
        if (of_batch := job_of(id_)) is not None:
            job, whole = await self._file_of(request, *of_batch)
            suffix = SUFFIXES[of_batch[1]]
            name = f"{job.id}_{of_batch[1]}.{suffix}"
            return whole_reply(whole, name, ZIP if suffix == "zip" else JSONL, header)
        file = await self._found(account, id_)
        uploaded = StoredFile(self._files, account, [Blob(file.digest, 0, file.bytes)])
        return whole_reply(uploaded, f"{file.id}.jsonl", JSONL, header)

    @endpoint("DELETE", "/v1/files/{id}", DeletedFile, failures=(NotFound, Conflict))
    async def delete_file(self, request: Request) -> Response:
        """Delete an uploaded file. A batch of it goes on"""
        account, id_ = caller_of(request.scope).account, request.path_params["id"]
        if (of_batch := job_of(id_)) is not None:
            await self._batch(request, of_batch[0])
            raise Conflict("It is a part of its batch: DELETE /v1/jobs/{id} deletes that.", param="id")
        file = await self._found(account, id_)
        if not await uploads.remove(self._files, file.id, account):
            raise _no_file(id_)
        return reply(DeletedFile(id=id_))

    def _shown(self, file: UploadedFile) -> FileObject:
        return FileObject(
            id=file.id,
            bytes=file.bytes,
            created_at=file.created // MICROS,
            expires_at=file.expires // MICROS,
            filename=self._vault.open_record(file.account, file.id, file.seal, FileSeal).name,
            purpose="batch",
        )

    async def _found(self, account: str, id_: str) -> UploadedFile:
        file = await FILES.get(self._store, account, id_) if id_.isprintable() else None
        if file is None:
            raise _no_file(id_)
        return file

    async def _batch(self, request: Request, batch: str) -> Job:
        """Return the batch that has a file, if it has ended. Raises NotFound."""
        job = await JOBS.get(self._store, caller_of(request.scope).account, batch)
        if job is None or job.kind != "batch" or job.ended is None:
            raise _no_file(request.path_params["id"])
        return job

    async def _file_of(self, request: Request, batch: str, what: What) -> tuple[Job, StoredFile | SoundZip]:
        """Return a file of a batch that has ended. Raises NotFound, RateLimited and NoPlace."""
        job = await self._batch(request, batch)
        whole = await self._batch_files.of(self._counter, request.scope, job, what)
        if whole is None:
            raise _no_file(request.path_params["id"])
        return job, whole


class Batches(Resource):
    """How accounts ask for batches, and see how far they are."""

    def __init__(self, kind: BatchKind, at: RevisionContext, steps: Steps) -> None:
        assert at.speaking is not None, "a worker speaks"
        self._kind = kind
        self._store = kind.store
        self._vault = kind.files.vault
        self._admission = at.speaking.admission
        self._steps = steps

    @endpoint(
        "POST",
        "/v1/batches",
        BatchObject,
        body=BatchBody,
        failures=(NotFound, IdempotencyKeyReused, *SPEECH_FAILURES),
        request_headers=(KEY_HEADER,),
        pace="own",
    )
    async def create_batch(self, request: Request) -> Response:
        """Have the lines of an uploaded file spoken, within a day"""
        caller: Caller = caller_of(request.scope)
        terms, _ = await self._admission.admit(caller)
        raw = await raw_body(request)
        query = speech_request.parse(BatchBody, raw)
        key = read_key(request.headers.getlist("idempotency-key"))
        upload = BackgroundRequest(request.scope["state"]["request_id"], caller, terms, raw, Defaults(), key)
        job, headers = await self._kind.make_batch(upload, query)
        self._steps.look_soon()
        self._kind.notices.look_soon()
        return await self._show(job, headers)

    @endpoint("GET", "/v1/batches", BatchList, queries=_OF_BATCHES, failures=(InvalidRequest,))
    async def list_batches(self, request: Request) -> Response:
        """The account's batches, the newest first"""
        account = caller_of(request.scope).account
        listed: Page[Job] = await page(
            request,
            partial(BATCHES.place_of, self._store, account),
            partial(BATCHES.page, self._store, account),
            usual=_USUAL_BATCHES,
            most=_MOST_BATCHES,
        )
        ids = [job.id for job in listed.rows]
        made, failed = await records.made(self._store, ids), await failed_lines(self._store, ids)
        return listed.answer(
            BatchList,
            lambda job: shown_batch(self._vault, job, made.get(job.id, Made()), failed.get(job.id, 0)),
        )

    @endpoint("GET", "/v1/batches/{id}", BatchObject, failures=(NotFound,))
    async def get_batch(self, request: Request) -> Response:
        """One batch"""
        return await self._show(await self._found(request))

    @endpoint("POST", "/v1/batches/{id}/cancel", BatchObject, failures=(NotFound,))
    async def cancel_batch(self, request: Request) -> Response:
        """End a batch. What was spoken stays"""
        job = await self._found(request)
        await ends.end(self._store, job, "canceled", self._kind.notices, events=self._kind.events)
        self._steps.look_at_leases()
        self._kind.notices.look_soon()
        return await self._show(await self._found(request))

    async def _found(self, request: Request) -> Job:
        id_ = request.path_params["id"]
        job = None
        if id_.isprintable():
            job = await JOBS.get(self._store, caller_of(request.scope).account, id_)
        if job is None or job.kind != "batch":
            raise NotFound(f"The batch '{id_[:80]}' does not exist.", param="id", code="batch_not_found")
        return job

    async def _show(self, job: Job, headers: dict[str, str] | None = None) -> Response:
        made, failed = await records.made(self._store, [job.id]), await failed_lines(self._store, [job.id])
        shown = shown_batch(self._vault, job, made.get(job.id, Made()), failed.get(job.id, 0))
        return reply(shown, headers=headers)


def _wanted_us(text: str) -> int:
    """Return how long a client wants its file to be kept. Raises InvalidRequest."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(_MOST_S))
    if not is_number or not _LEAST_S <= int(text) <= _MOST_S:
        raise InvalidRequest(
            f"Invalid value for '{_EXPIRES}': it must be a number from {_LEAST_S} to {_MOST_S}.",
            param=_EXPIRES,
        )
    return int(text) * SECOND


def _checked(upload: FormFile | None) -> FormFile:
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


def _name(upload: FormFile) -> str:
    """Return the name of a file as it is shown: without folders, and without what no terminal shows."""
    name = "".join(each for each in upload.called if each.isprintable())
    return PurePosixPath(name.replace("\\", "/")).name[-_MOST_NAME:]


def _no_file(id_: str) -> NotFound:
    return NotFound(f"The file '{id_[:80]}' does not exist.", param="id", code="file_not_found")
