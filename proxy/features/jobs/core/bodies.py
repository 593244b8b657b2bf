"""The bodies of answers about jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from policies.price import MICRO
from proxy.features.jobs.core.fields import Files, SealedFields
from proxy.features.jobs.core.records import Job, Kind, StepTotals, Waits
from proxy.http.lists import Listing, iso_time, iso_time_or_none

Status = Literal["queued", "running", "waiting", "done", "failed", "canceled", "expired"]


class ShownTraining(msgspec.Struct, frozen=True, kw_only=True):
    """How far a training is. `mel` says how far the voice's sound is from its recordings, and `best` is the
    least of that so far; both are null before the first step. `eta_seconds` is null while it is unknown."""

    voice: str
    model: str
    stage: str
    step: int
    steps: int
    mel: float | None
    best: float | None
    eta_seconds: float | None


class ShownJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job. Of its `steps`, `steps_done` are done: `seconds` of sound for `credits`. The `model` is as it
    was asked for, and `voice` is an id; a batch has neither, and a transcription no voice. With `files` of
    `chapters`, its sound is a zip.

    A job that is `waiting` goes on by itself when its account has credits, or is no longer suspended.
    `waits_for` is the reason: `credits`, `suspended`, `engine` while its engine is away, busy or broken, or
    `memory` while its device has none left. `training` says how far a training is. `error` says why the job
    has failed, and `error_code` is the code that a request for speech would have got. `warnings` begin with
    names of `x-voxgate-ignored`; those of a single job that has ended name what was said wrong. If answers of
    its steps would have an `x-voxgate-substitute`, one of these is in `substitute`. A canceled job is
    `settling` while steps are under way: their sound and credits may still come.
    """

    id: str
    object: Literal["job"] = "job"
    kind: Kind = "speech"
    title: str
    model: str
    voice: str
    account: str
    status: Status
    waits_for: Waits
    created: str
    ended: str | None
    format: str
    files: Files = "one"
    characters: int
    steps: int
    steps_done: int
    seconds: float
    credits: float
    substitute: str
    error: str
    error_code: str
    warnings: tuple[str, ...] = ()
    training: ShownTraining | None = None
    settling: Literal[True] | UnsetType = UNSET
    words: Mapping[str, Mapping[str, str]] | UnsetType = UNSET
    columns: Mapping[str, str | float] | UnsetType = UNSET


class JobList(Listing, frozen=True, kw_only=True):
    data: list[ShownJob]


class DeletedJob(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["job"] = "job"
    deleted: Literal[True] = True


class Progress(NamedTuple):
    """The progress of a job, as its kind computes it. `credits` are in millionths of a credit."""

    has_begun: bool
    steps_done: int = 0
    seconds: float = 0.0
    credits: int = 0
    substitute: str = ""
    training: ShownTraining | None = None
    is_settling: bool = False

    @classmethod
    def of(cls, totals: StepTotals) -> Progress:
        """Return the progress of a job whose steps are spoken."""
        return cls(totals.steps > 0, totals.steps, totals.seconds, totals.credits, totals.substitute)


def shown_job(job: Job, fields: SealedFields, progress: Progress) -> ShownJob:
    return ShownJob(
        id=job.id,
        kind=job.kind,
        title=fields.title,
        model=fields.model,
        voice=fields.voice,
        account=job.account,
        status=_status(job, progress),
        waits_for=job.waits,
        created=iso_time(job.created),
        ended=iso_time_or_none(job.ended),
        format=job.format,
        files=fields.files,
        characters=job.characters,
        steps=job.steps,
        steps_done=progress.steps_done,
        seconds=round(progress.seconds, 3),
        credits=progress.credits / MICRO,
        substitute=progress.substitute,
        error=job.error,
        error_code=job.error_code,
        warnings=tuple(f"{each}: not all of it is followed" for each in fields.ignored),
        training=progress.training,
        settling=True if progress.is_settling else UNSET,
    )


def _status(job: Job, progress: Progress) -> Status:
    if job.state != "open" and job.state != "making" and job.state != "removed":
        return job.state
    if job.waits in ("credits", "suspended"):
        return "waiting"
    return "running" if progress.has_begun else "queued"
