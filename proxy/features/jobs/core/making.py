"""Makes the job of a request: at most one, however often the request comes with the same Idempotency-Key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from hashlib import sha256
from types import MappingProxyType
from typing import Literal, NamedTuple

from policies.plans import Terms
from proxy.access.admission import Admission
from proxy.access.callers import Caller
from proxy.api.speech_forms import BackgroundRequest
from proxy.errors import ErrorDetail, NotAllowed, RateLimited, RequestFailed
from proxy.features.jobs.core import opening, records, uploads
from proxy.features.jobs.core.fields import ENCODED, SealedFields
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.parts import PART, Superseded
from proxy.features.jobs.core.records import JOBS, Job, Kind
from proxy.file_store.once import REPLAYED, Once
from proxy.storage.rows import new_id
from proxy.storage.store import AlreadyExists, Statement

JOB_PREFIX = "job"

Add = Callable[[str, bytes], Awaitable[None]]
"""Adds the job with this id, for the request with this digest. It adds nothing if too many steps wait."""


class MadeJob(NamedTuple):
    """A job, and the headers of its answer. They tell whether an earlier try of the request has made the
    job."""

    job: Job
    headers: dict[str, str]


class NewJob(NamedTuple):
    """A job to add. Its `fields` will be sealed. `data` is its text or its file, and each of the `pieces` has
    the start and the end of one step in it. Without `created`, it is created now. A job with a `fault` has
    failed before it began. With a `voice`, its file is a recording of this voice. It holds the uploaded
    `files`: ids, with the field of the request that names each. If it `makes_files`, it has a last step that
    makes files in any format."""

    id: str
    kind: Kind
    format: str
    fields: SealedFields
    data: bytes
    pieces: Sequence[tuple[int, int]]
    characters: int = 0
    created: int | None = None
    fault: ErrorDetail | None = None
    steps_are: Literal["speech", "training"] = "speech"
    tag: str = ""
    voice: str = ""
    files: Mapping[str, str] = MappingProxyType({})
    makes_files: bool = False

    def __repr__(self) -> str:
        return f"<NewJob {self.id}>"


async def make_once(
    files: JobFiles, request: BackgroundRequest, add: Add, digest: bytes | None = None
) -> MadeJob:
    """Add the job of a request, unless its Idempotency-Key has made it before. Return the job in both cases.
    `digest` is that of the request, or without it that of the body is used. Raises IdempotencyKeyReused,
    RateLimited, and the errors of `add`."""
    account, id_ = request.caller.account, new_id(JOB_PREFIX)
    digest = digest or sha256(request.body).digest()
    was_made_before = False
    if request.key is None:
        await add(id_, digest)
    else:
        once = Once(request.id, account, request.key, digest)
        id_ = once.id_of(JOB_PREFIX)
        find = partial(_find_request_digest, files)
        try:
            was_made_before = await once.make(id_, find, partial(add, id_, digest), AlreadyExists)
            if was_made_before and await JOBS.get(files.store, account, id_) is None:
                await add(id_, digest)  # the earlier try was interrupted, and this one goes on
        except (AlreadyExists, Superseded):
            raise once.under_way_failure() from None
    job = await JOBS.get(files.store, account, id_)
    if job is None:
        raise too_many_steps()
    return MadeJob(job, REPLAYED if was_made_before else {})


async def add_job(
    files: JobFiles,
    request: BackgroundRequest,
    new: NewJob,
    statements_for: Callable[[Job], Sequence[Statement]] = lambda _: (),
) -> bool:
    """Add the job of a request, with the statements of `statements_for` in the same commit. Each step counts
    as a request for the rate limit, unless an earlier try has begun to make the job.

    False: too many steps of the account wait, or it is closed. Then the data is dropped. Raises NotAllowed if
    too much is stored, RateLimited, and AlreadyExists if there is a job with this id."""
    store, account, job = files.store, request.caller.account, None
    if len(new.pieces) > PART and (job := await records.find_with_making(store, account, new.id)) is not None:
        if job.state != "making" or _request_digest(files, job) != new.fields.request:
            raise AlreadyExists
    else:
        await request.admission.count_steps(request.caller, len(new.pieces))
        job = await _new_job(files, request.caller, new)
    has_file, kind = new.format in ENCODED or new.makes_files, new.steps_are
    try:
        is_added = await opening.add_with_steps(
            store, job, new.pieces, statements_for(job), has_file=has_file, kind=kind, files=new.files
        )
    except AlreadyExists:
        await files.drop(account, job.digest)
        raise
    if not is_added:
        await files.drop(account, job.digest)
        # If a file is gone, `find_file` raises NotFound.
        for file, field in new.files.items():
            if not (await uploads.held_content(files, account, file)).size:
                await uploads.find_file(store, account, file, field, "user_data")
        new_bytes = job.bytes + await uploads.count_not_held(store, new.files)
        if await records.stored_bytes(store, account) + new_bytes > records.MOST_STORED_BYTES:
            raise NotAllowed(
                f"An account's jobs have texts of {records.MOST_STORED_BYTES} bytes at most, until they are "
                "deleted; delete some that have ended first.",
                code="too_many_jobs",
            )
    return is_added


async def _new_job(files: JobFiles, caller: Caller, new: NewJob) -> Job:
    account = caller.account
    sealed = await files.vault.seal_record(account, new.id, new.fields)
    now = await files.store.now() if new.created is None else new.created
    return Job(
        id=new.id,
        account=account,
        key=caller.key,
        kind=new.kind,
        state="open" if new.fault is None else "failed",
        created=now,
        ended=None if new.fault is None else now,
        format=new.format,
        characters=new.characters,
        bytes=len(new.data) + len(sealed.sealed),
        steps=len(new.pieces),
        error="" if new.fault is None else new.fault.message,
        error_code="" if new.fault is None else new.fault.code,
        digest=await files.put(account, new.data),
        wrapped=sealed.wrapped,
        sealed=sealed.sealed,
        tag=new.tag,
        voice=new.voice,
    )


async def _find_request_digest(files: JobFiles, account: str, id_: str) -> str | None:
    job = await records.find_with_making(files.store, account, id_)
    return None if job is None else _request_digest(files, job)


def _request_digest(files: JobFiles, job: Job) -> str:
    return files.vault.open_record(job.account, job.id, job.record, SealedFields).request


async def count_canceled(admission: Admission, caller: Caller, job: Job) -> None:
    """Count the steps of an open job for the rate limit again when it is canceled. A full limit refuses
    nothing."""
    if job.state == "open":
        with suppress(RequestFailed):
            await admission.count_steps(caller, job.steps)


def too_many_steps() -> RateLimited:
    return RateLimited(
        f"Your account has too many steps that wait: it may have {records.MOST_WANTED}. "
        "Try again when some are done.",
        retry_after_s=60.0,
    )


def jobs_not_allowed(terms: Terms) -> NotAllowed:
    return NotAllowed(f"Your plan '{terms.plan}' has no jobs.", code="jobs_not_allowed")


def check_length(terms: Terms, characters: int, param: str) -> None:
    """Raise NotAllowed if a plan has no jobs, or the text is too long for it."""
    most = terms.job_characters
    if most == 0:
        raise jobs_not_allowed(terms)
    if most is not None and characters > most:
        raise NotAllowed(
            f"Your plan '{terms.plan}' takes jobs of up to {most} characters; this one has {characters}.",
            param=param,
            code="text_too_long",
        )
