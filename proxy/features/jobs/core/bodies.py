"""Jobs as answers show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from policies.price import MICRO
from proxy.features.jobs.core import records
from proxy.features.jobs.core.records import Job, Kind, Made, Waits
from proxy.features.jobs.kinds.speech.request import SentFields
from proxy.features.jobs.kinds.training import records as training_records
from proxy.features.jobs.kinds.training.bodies import ShownTraining, shown_training
from proxy.features.jobs.kinds.training.records import Training
from proxy.http.lists import Listing, iso, iso_or_none
from proxy.kept.vault import Vault, VaultFailed
from proxy.storage.store import Store

Status = Literal["queued", "running", "waiting", "done", "failed", "canceled", "expired"]


class ShownJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job. Of its `steps`, `steps_done` are spoken: `seconds` of sound for `credits`.

    One that is `waiting` goes on by itself when its account has credits, or is no longer suspended.
    `waits_for` says it: `credits`, `suspended`, or `engine` while one that it needs is away, busy or broken,
    `memory` while its device has none left. A job that is a `training` says how far it is. `error` says why
    it has failed, and `error_code` says it for programs, as a request for speech would. `warnings` begin with
    names of `x-voxgate-ignored`. If answers of its steps would tell a `x-voxgate-substitute`, one of these is
    in `substitute`. One that was canceled is `settling` while steps are under way, whose sound and credits
    may still come.
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
    warnings: tuple[str, ...] = ()
    training: ShownTraining | None = None
    settling: Literal[True] | UnsetType = UNSET


class JobList(Listing, frozen=True, kw_only=True):
    data: list[ShownJob]


class DeletedJob(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["job"] = "job"
    deleted: Literal[True] = True


class Watching:
    """Reads what answers show of jobs."""

    def __init__(self, store: Store, vault: Vault) -> None:
        self._store = store
        self._vault = vault

    async def shown(self, jobs: Sequence[Job]) -> list[ShownJob]:
        """Return jobs as they are now, in this order."""
        made = await records.made(self._store, [job.id for job in jobs])
        learning = [job.id for job in jobs if job.kind == "training"]
        trainings = await training_records.of_jobs(self._store, learning)
        if learning:
            charged = await training_records.charged(self._store, learning)
            made = {**made, **{id_: Made(credits=credits) for id_, credits in charged.items()}}
        settling = await records.under_way(self._store, [job.id for job in jobs if job.state == "canceled"])
        owing = {id_ for id_, each in trainings.items() if each.state == "owed_part"}
        return [
            replace(
                _shown(job, made.get(job.id, Made()), trainings.get(job.id)),
                warnings=self._warnings(job),
                settling=True
                if job.id in settling or (job.state == "canceled" and job.id in owing)
                else UNSET,
            )
            for job in jobs
        ]

    async def shown_one(self, job: Job) -> ShownJob:
        (shown,) = await self.shown([job])
        return shown

    def _warnings(self, job: Job) -> tuple[str, ...]:
        if job.kind != "speech":
            return ()
        try:
            fields = self._vault.open_record(job.account, job.id, job.record, SentFields)
        except VaultFailed:
            return ()  # no reason to hide the job
        return tuple(f"{each}: not all of it is followed" for each in fields.ignored)


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
    if job.waits in ("credits", "suspended"):
        return "waiting"
    has_begun = made.steps if training is None else training.stage
    return "running" if has_begun else "queued"
