"""How a request makes one job, however often it comes with the same Idempotency-Key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Literal, NamedTuple

import msgspec

from policies.plans import Terms
from proxy.api.speech_forms import BackgroundRequest
from proxy.errors import NotAllowed, RateLimited
from proxy.features.jobs import records
from proxy.features.jobs.kept import JobFiles
from proxy.features.jobs.records import JOBS, Job
from proxy.kept.once import Once
from proxy.kept.vault import Vault
from proxy.storage.rows import new_id
from proxy.storage.store import AlreadyExists, Statement, Store

PREFIX = "job"

Add = Callable[[str, bytes], Awaitable[None]]
"""Adds a job of this id, which a request of this digest asks for."""


class MadeJob(NamedTuple):
    """A job. It `was_there` if this request has made it before."""

    job: Job
    was_there: bool

    @property
    def headers(self) -> dict[str, str]:
        return {"x-voxgate-replayed": "true"} if self.was_there else {}


class _Sent(msgspec.Struct, frozen=True):
    """What is sealed of every job: a digest of its request."""

    request: str = ""


async def made_once(
    store: Store, vault: Vault, request: BackgroundRequest, add: Add, digest: bytes | None = None
) -> MadeJob:
    """Have a job added, unless its Idempotency-Key has made it. Without a digest, it is that of the body.

    Raises IdempotencyKeyReused, RateLimited.
    """
    account, id_ = request.caller.account, new_id(PREFIX)
    digest = digest or sha256(request.body).digest()
    once = None
    if request.key is not None:
        once = Once(request.id, account, request.key, digest)
        id_ = once.id_of(PREFIX)
        if (made := await _made_before(store, vault, once)) is not None:
            return MadeJob(made, was_there=True)
    try:
        await add(id_, digest)
    except AlreadyExists:
        # The same request came twice at once.
        if once is None or await _made_before(store, vault, once) is None:
            raise
    job = await JOBS.get(store, account, id_)
    if job is None:
        raise too_many_wait()
    return MadeJob(job, was_there=False)


async def add_job(
    store: Store,
    files: JobFiles,
    job: Job,
    pieces: Sequence[tuple[int, int]],
    beside: Sequence[Statement] = (),
    *,
    has_file: bool = False,
    kind: Literal["speech", "training"] = "speech",
) -> bool:
    """Add a job, or drop its text. See `records.add`. Raises NotAllowed if too much is kept."""
    try:
        is_added = await records.add(store, job, pieces, beside, has_file=has_file, kind=kind)
    except AlreadyExists:
        await files.drop(job.account, job.digest)
        raise
    if not is_added:
        await files.drop(job.account, job.digest)
        if await records.kept_bytes(store, job.account) + job.bytes > records.MOST_KEPT_BYTES:
            raise _too_much_kept()
    return is_added


async def _made_before(store: Store, vault: Vault, once: Once) -> Job | None:
    """Return the job that this request has made. Raises IdempotencyKeyReused."""
    job = await JOBS.get(store, once.account, once.id_of(PREFIX))
    if job is not None:
        sent = vault.open_record(job.account, job.id, job.record, _Sent)
        once.check(bytes.fromhex(sent.request))
    return job


def too_many_wait() -> RateLimited:
    return RateLimited(
        f"Your account has too many steps that wait: it may have {records.MOST_WANTED}. "
        "Try again when some are done.",
        retry_after_s=60.0,
    )


def _too_much_kept() -> NotAllowed:
    return NotAllowed(
        f"An account's jobs have texts of {records.MOST_KEPT_BYTES} bytes at most, until they are deleted; "
        "delete some that have ended first.",
        code="too_many_jobs",
    )


def no_jobs(terms: Terms) -> NotAllowed:
    return NotAllowed(f"Your plan '{terms.plan}' has no jobs.", code="jobs_not_allowed")


def check_length(terms: Terms, characters: int, param: str) -> None:
    """Raise NotAllowed if a plan has no jobs, or none as long."""
    most = terms.job_characters
    if most == 0:
        raise no_jobs(terms)
    if most is not None and characters > most:
        raise NotAllowed(
            f"Your plan '{terms.plan}' takes jobs of up to {most} characters; this one has {characters}.",
            param=param,
            code="text_too_long",
        )
