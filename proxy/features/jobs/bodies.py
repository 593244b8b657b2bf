"""Jobs as answers show them."""

from __future__ import annotations

from typing import Literal

import msgspec

from policies.price import MICRO
from proxy.features.jobs.records import Job, Kind, Made, Waits
from proxy.http.lists import Listing, iso, iso_or_none

Status = Literal["queued", "running", "waiting", "done", "failed", "canceled", "expired"]


class ShownJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job. Of its `steps`, `steps_done` are spoken: `seconds` of sound for `credits`.

    One that is `waiting` goes on by itself when its account has credits. `waits_for` says it: `credits`, or
    `engine` while one that it needs is away, busy or broken. `error` says why it has failed, and `error_code`
    says it for programs, as a request for speech would.
    """

    id: str
    object: Literal["job"] = "job"
    kind: Kind = "speech"
    account: str
    status: Status
    waits_for: Waits
    created: str
    ended: str | None
    format: str
    characters: int
    steps: int
    steps_done: int
    seconds: float
    credits: float
    error: str
    error_code: str


class JobList(Listing, frozen=True, kw_only=True):
    data: list[ShownJob]


class DeletedJob(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["job"] = "job"
    deleted: Literal[True] = True


def shown(job: Job, made: Made) -> ShownJob:
    return ShownJob(
        id=job.id,
        kind=job.kind,
        account=job.account,
        status=_status(job, made),
        waits_for=job.waits,
        created=iso(job.created),
        ended=iso_or_none(job.ended),
        format=job.format,
        characters=job.characters,
        steps=job.steps,
        steps_done=made.steps,
        seconds=round(made.seconds, 3),
        credits=made.credits / MICRO,
        error=job.error,
        error_code=job.error_code,
    )


def _status(job: Job, made: Made) -> Status:
    if job.state != "open":
        return job.state
    if job.waits == "credits":
        return "waiting"
    return "running" if made.steps else "queued"
