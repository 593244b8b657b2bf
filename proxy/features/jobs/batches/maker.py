"""Batches: jobs whose steps are the lines of a file, each a request for speech of its own.

A line is paid for and fails alone: the others go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from functools import partial

import msgspec

from policies.plans import Terms
from proxy.access.callers import Caller
from proxy.api.admin_tools import AdminTools
from proxy.api.speech_forms import BackgroundRequest
from proxy.catalogue.notices import Notices
from proxy.errors import InvalidRequest, NotFound
from proxy.features.jobs import ends, records
from proxy.features.jobs.batches.bodies import (
    MICROS,
    BatchBody,
    BatchErrors,
    BatchJobBody,
    BatchObject,
    RequestCounts,
    Status,
)
from proxy.features.jobs.batches.files import What, file_id
from proxy.features.jobs.batches.lines import LineFault, read_file
from proxy.features.jobs.batches.uploads import FILES
from proxy.features.jobs.ends import WINDOW_US
from proxy.features.jobs.kept import JobFiles
from proxy.features.jobs.making import MadeJob, add_job, check_length, made_once
from proxy.features.jobs.records import Job, Made
from proxy.kept.vault import Vault
from proxy.storage.listed_tables import ListedTable
from proxy.storage.rows import any_of
from proxy.storage.store import Store

BATCHES = ListedTable("jobs", Job, listed="kind = 'batch'")
FORMAT = "zip"
"""Of the sound of a batch."""
_READ_AT_ONCE = 1

_FAILED = """
SELECT job, count(*) AS failed FROM job_steps
WHERE job IN ({jobs}) AND state <> 'wanted'
    AND NOT EXISTS (SELECT 1 FROM job_clips WHERE job_clips.step = job_steps.id)
GROUP BY job
"""


class BatchFields(msgspec.Struct, frozen=True, kw_only=True):
    """What is sealed of a batch: its file, a digest of its request, and why it failed at once."""

    file: str
    metadata: dict[str, str] | None = None
    request: str = ""
    faults: tuple[LineFault, ...] = ()

    def __repr__(self) -> str:
        return "<BatchFields>"


class BatchMaker:
    """Makes batches of uploaded files."""

    def __init__(self, tools: AdminTools, files: JobFiles, notices: Notices) -> None:
        self._store = tools.store
        self._vault = tools.vault
        self._files = files
        self._notices = notices
        # A file is a few megabytes, and reading it keeps a thread busy.
        self._places = asyncio.Semaphore(_READ_AT_ONCE)

    async def make(self, request: BackgroundRequest, asked: BatchBody | BatchJobBody) -> MadeJob:
        """Make a batch. With a fault in its file it has failed; but for a job, that raises InvalidRequest.

        Raises NotFound, NotAllowed, RateLimited, IdempotencyKeyReused.
        """
        add = partial(self._add, request.caller, request.terms, asked)
        return await made_once(self._store, self._vault, request, add)

    async def _add(
        self, caller: Caller, terms: Terms, asked: BatchBody | BatchJobBody, id_: str, digest: bytes
    ) -> None:
        account = caller.account
        async with self._places:
            data = await self._read(account, asked.input_file_id)
            read = await asyncio.to_thread(read_file, data)
            is_good = not read.faults
            if is_good:
                check_length(terms, read.characters, "input_file_id")
            elif isinstance(asked, BatchJobBody):
                raise InvalidRequest(
                    f"Invalid value for 'input_file_id': {read.faults[0].message}", param="input_file_id"
                )
            # The batch has a copy, so that the file may be deleted.
            copy = data if is_good else b""
            text = await self._files.put(account, copy)
        fields = BatchFields(
            file=asked.input_file_id,
            metadata=asked.metadata,
            request=digest.hex(),
            faults=tuple(read.faults),
        )
        sealed = await self._vault.seal_record(account, id_, fields)
        now = await self._store.now()
        job = Job(
            id=id_,
            account=account,
            key=caller.key,
            kind="batch",
            state="open" if is_good else "failed",
            created=now,
            ended=None if is_good else now,
            format=FORMAT,
            characters=read.characters if is_good else 0,
            bytes=len(copy) + len(sealed.sealed),
            steps=len(read.lines) if is_good else 0,
            error="" if is_good else read.faults[0].message,
            error_code="" if is_good else read.faults[0].code,
            digest=text,
            wrapped=sealed.wrapped,
            sealed=sealed.sealed,
        )
        pieces = [(line.first, line.last) for line in read.lines] if is_good else []
        beside = () if is_good else ends.told_failed(job, self._notices)
        await add_job(self._store, self._files, job, pieces, beside)

    async def _read(self, account: str, id_: str) -> bytes:
        file = await FILES.get(self._store, account, id_) if id_.isprintable() else None
        if file is None:
            raise NotFound(
                f"The file '{id_[:80]}' does not exist.", param="input_file_id", code="file_not_found"
            )
        return await self._files.whole(account, file.digest)


async def failed_lines(store: Store, jobs: Collection[str]) -> dict[str, int]:
    """Count the lines of each batch that have ended without sound."""
    if not jobs:
        return {}
    names, params = any_of(sorted(jobs))
    rows = await store.read_long(_FAILED.format(jobs=names), params)
    return {row["job"]: row["failed"] for row in rows}


def shown_batch(vault: Vault, job: Job, made: Made, failed: int) -> BatchObject:
    """Show a batch. Raises VaultFailed."""
    fields = vault.open_record(job.account, job.id, job.record, BatchFields)
    faults = list(fields.faults)
    if job.error and not faults:
        faults = [LineFault(code=job.error_code, message=job.error)]
    has_begun = not fields.faults
    created, ended = job.created // MICROS, None if job.ended is None else job.ended // MICROS

    def given(what: What, number: int) -> str | None:
        return file_id(job.id, what) if number and ended is not None else None

    def at(state: records.State) -> int | None:
        return ended if job.state == state else None

    return BatchObject(
        id=job.id,
        errors=BatchErrors(data=faults) if faults else None,
        input_file_id=fields.file,
        status=_STATUSES[job.state],
        output_file_id=given("output", made.steps),
        error_file_id=given("errors", failed),
        sound_file_id=given("sound", made.steps),
        created_at=created,
        in_progress_at=created if has_begun else None,
        expires_at=(job.created + WINDOW_US) // MICROS,
        finalizing_at=at("done"),
        completed_at=at("done"),
        failed_at=at("failed"),
        expired_at=at("expired"),
        cancelling_at=at("canceled"),
        cancelled_at=at("canceled"),
        request_counts=RequestCounts(total=job.steps, completed=made.steps, failed=failed),
        metadata=fields.metadata,
    )


_STATUSES: dict[records.State, Status] = {
    "open": "in_progress",
    "done": "completed",
    "failed": "failed",
    "expired": "expired",
    "canceled": "cancelled",
}
