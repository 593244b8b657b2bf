"""Jobs as answers show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from policies.price import MICRO
from proxy.features.jobs import records
from proxy.features.jobs.records import Job, Kind, Made, Waits
from proxy.features.jobs.training import records as training_records
from proxy.features.jobs.training.bodies import ShownTraining, shown_training
from proxy.features.jobs.training.records import Training
from proxy.http.lists import Listing, iso, iso_or_none
from proxy.storage.store import Store

Status = Literal["queued", "running", "waiting", "done", "failed", "canceled", "expired"]


class ShownJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job. Of its `steps`, `steps_done` are spoken: `seconds` of sound for `credits`.

    One that is `waiting` goes on by itself when its account has credits. `waits_for` says it: `credits`, or
    `engine` while one that it needs is away, busy or broken, `memory` while its device has none left. A job
    that is a `training` says how far it is. `error` says why it has failed, and `error_code`
    says it for programs, as a request for speech would. If answers of its steps would tell a
    `x-voxgate-substitute`, one of these is in `substitute`.
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
    substitute: str
    error: str
    error_code: str
    training: ShownTraining | None = None


class JobList(Listing, frozen=True, kw_only=True):
    data: list[ShownJob]


class DeletedJob(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["job"] = "job"
    deleted: Literal[True] = True


class Watching:
    """Reads what answers show of jobs."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __repr__(self) -> str:
        return f"<Watching {self._store!r}>"

    async def shown(self, jobs: Sequence[Job]) -> list[ShownJob]:
        """Return jobs as they are now, in this order."""
        made = await records.made(self._store, [job.id for job in jobs])
        learning = [job.id for job in jobs if job.kind == "training"]
        trainings = await training_records.of_jobs(self._store, learning)
        if learning:
            charged = await training_records.charged(self._store, learning)
            made = {**made, **{id_: Made(credits=credits) for id_, credits in charged.items()}}
        return [_shown(job, made.get(job.id, Made()), trainings.get(job.id)) for job in jobs]

    async def shown_one(self, job: Job) -> ShownJob:
        (shown,) = await self.shown([job])
        return shown


def _shown(job: Job, made: Made, training: Training | None) -> ShownJob:
    return ShownJob(
        id=job.id,
        kind=job.kind,
        account=job.account,
        status=_status(job, made, training),
        waits_for=job.waits,
        created=iso(job.created),
        ended=iso_or_none(job.ended),
        format=job.format,
        characters=job.characters,
        steps=job.steps,
        steps_done=made.steps if training is None else int(job.state == "done"),
        seconds=round(made.seconds, 3),
        credits=made.credits / MICRO,
        substitute=made.substitute,
        error=job.error,
        error_code=job.error_code,
        training=None if training is None else shown_training(training, is_done=job.state == "done"),
    )


def _status(job: Job, made: Made, training: Training | None) -> Status:
    if job.state != "open":
        return job.state
    if job.waits == "credits":
        return "waiting"
    has_begun = made.steps if training is None else training.stage
    return "running" if has_begun else "queued"
