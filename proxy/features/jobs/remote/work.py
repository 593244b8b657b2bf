"""A piece of work as it is sent to a runner's machine. It has neither the account's name nor anything that
changes between tries, so its digest stays the same for the same work."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from proxy.features.jobs.kinds.training.remote_runs import TrainingWork
from proxy.features.jobs.remote.links import Links
from proxy.features.jobs.remote.records import Run
from proxy.file_store.vault import Vault, VaultFailed
from speech_engine import (
    API_VERSION,
    EngineUnavailable,
    SampleReader,
    Speak,
    SpeechJob,
    UnsupportedRequest,
)
from speech_engine.runner import (
    REMOTE_VERSION,
    RemoteSample,
    RemoteTraining,
    RemoteWork,
    RunnerLimits,
)
from speech_engine.values import find_samples

TENANT = "server"
"""The only account at the remote end. It stands for this server."""
_CHECKPOINT_S = 300.0
"""A training stops so long before the end of its run: the upload of its checkpoint needs this time."""
_JSON_BYTES = 2_000
"""The size of a work's JSON without its recordings. Each recording is counted at four bytes for three."""


class SpeechPiece(NamedTuple):
    """A text to speak. Without a `job`, it asks the engine for its introduction. All tries have the same
    `name`. The same work has the same `digest`."""

    name: str
    digest: str
    job: SpeechJob | None = None
    samples: tuple[RemoteSample, ...] = ()

    def __repr__(self) -> str:
        return f"<SpeechPiece {self.name}>"

    @property
    def account(self) -> str:
        return "" if self.job is None else self.job.tenant

    @property
    def of_job(self) -> str:
        return "" if self.job is None else self.job.of_job

    @property
    def step(self) -> str:
        """The id of the job's step. `SpeechJob.step` has the number of a part behind it."""
        return "" if self.job is None else self.job.step.rpartition(".")[0]

    @property
    def joined_digests(self) -> str:
        """The digests of the recordings that are sent with it, as a row has them."""
        return _join_digests(sample.digest for sample in self.samples)

    async def as_sent(self, run: Run, limits: RunnerLimits, links: Links) -> RemoteWork:
        """Return the submitted work, the same each time. Large recordings become links. Raises
        UnsupportedRequest if there are no links."""
        work = None if self.job is None else Speak(_strip_account(self.job, run.id))
        remote_work = RemoteWork(key=run.id, most_s=limits.most_s, work=work, samples=self.samples)
        size = len(msgspec.json.encode(replace(remote_work, samples=())))
        size += sum(len(sample.pcm) * 4 // 3 + _JSON_BYTES for sample in self.samples)
        if size <= limits.most_bytes:
            return remote_work
        if self.job is None or not links.root:
            sizes = f"{size} bytes, and it takes {limits.most_bytes}"
            raise UnsupportedRequest(
                "The recordings of the voice are too long for the runner.",
                detail=f"{sizes}; server.public_url lets it fetch them",
            )
        model = self.job.model
        return replace(
            remote_work,
            samples=tuple([await links.link_sample(run.id, model, each) for each in self.samples]),
        )


class TrainingPiece(NamedTuple):
    """A training, or the rest of a training that has a checkpoint. The machine fetches its input by a
    link."""

    name: str
    digest: str
    order: TrainingWork

    def __repr__(self) -> str:
        return f"<TrainingPiece {self.name}>"

    @property
    def account(self) -> str:
        return self.order.account

    @property
    def of_job(self) -> str:
        return self.order.job

    @property
    def step(self) -> str:
        return self.order.step

    @property
    def joined_digests(self) -> str:
        return _join_digests(self.order.digests)

    async def as_sent(self, run: Run, limits: RunnerLimits, links: Links) -> RemoteWork:
        if not links.root:
            raise UnsupportedRequest(
                "Trainings elsewhere need server.public_url: rented machines fetch and bring all by it."
            )
        stop_s = limits.most_s - min(_CHECKPOINT_S, limits.most_s / 4)
        training = RemoteTraining(url=await links.training_url(run.id), stop_s=stop_s)
        return RemoteWork(key=run.id, most_s=limits.most_s, training=training)


WorkPiece = SpeechPiece | TrainingPiece
"""A piece of work of a job's step, or without a job."""


def introduction_of(engine: str, plugin: str, runner: str) -> SpeechPiece:
    fingerprint = msgspec.json.encode((API_VERSION, REMOTE_VERSION, engine, plugin, runner))
    digest = hashlib.sha256(fingerprint).hexdigest()
    return SpeechPiece(f"hello.{engine}.{digest[:16]}", digest)


def piece_name(step: str, engine: str) -> str:
    return f"{step}.{engine}"


async def piece_of(engine: str, job: SpeechJob, recordings: SampleReader, vault: Vault) -> SpeechPiece:
    """Return the piece of a job's step for an engine. Raises EngineError."""
    digest = await _digest(vault, job.tenant, msgspec.json.encode(_strip_account(job, "")).decode())
    samples = tuple(
        [
            RemoteSample(digest=sample.digest, pcm=recordings.pcm(job, sample))
            for sample in find_samples(job.voice)
        ]
    )
    return SpeechPiece(piece_name(job.step, engine), digest, job, samples)


async def training_piece(engine: str, order: TrainingWork, vault: Vault) -> TrainingPiece:
    """Return the piece of a training. Raises EngineUnavailable."""
    digest = await _digest(vault, order.account, order.fingerprint)
    return TrainingPiece(piece_name(order.step, engine), digest, order)


async def _digest(vault: Vault, account: str, fingerprint: str) -> str:
    try:
        # It needs the account's key: without it, a reader of the database cannot try texts.
        return await vault.name_digest(account, fingerprint)
    except VaultFailed:
        raise EngineUnavailable("The vault cannot be opened.") from None


def _join_digests(digests: Iterable[str]) -> str:
    unique = sorted(set(digests))
    return f" {' '.join(unique)} " if unique else ""


def _strip_account(job: SpeechJob, id_: str) -> SpeechJob:
    return replace(
        job,
        id=id_,
        tenant=TENANT,
        of_job="",
        step="",
        credential="",
        share=1.0,
        deadline_s=0.0,
        urgency="idle",
        plays_in_s=0.0,
        plays_rate=1.0,
        follows_s=0.0,
    )
