"""A piece of work as it leaves for a runner's machine: without the account's name, and without what changes
from try to try. So the digest of a piece stays the same, as long as the same is to be spoken."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from proxy.features.runners.records import Run
from proxy.features.runners.sample_links import SampleLinks
from proxy.kept.vault import Vault, VaultFailed
from speech_engine import (
    API_VERSION,
    EngineUnavailable,
    Sample,
    SampleReader,
    Speak,
    SpeechJob,
    UnsupportedRequest,
)
from speech_engine.runner import REMOTE_VERSION, RemoteSample, RemoteWork, RunnerLimits
from speech_engine.values import find_samples

TENANT = "server"
"""The far end has one: us."""
_JSON_BYTES = 2_000
"""What stands in a work's JSON around its recordings, each counted at four bytes for three."""


class WorkPiece(NamedTuple):
    """A piece of work. Without a `job`, it is what introduces the engine. `name` stays over all tries."""

    name: str
    digest: str
    job: SpeechJob | None = None
    samples: tuple[RemoteSample, ...] = ()

    def __repr__(self) -> str:
        return f"<WorkPiece {self.name}>"

    @property
    def account(self) -> str:
        return "" if self.job is None else self.job.tenant

    @property
    def samples_column(self) -> str:
        digests = sorted({sample.digest for sample in self.samples})
        return f" {' '.join(digests)} " if digests else ""

    async def as_sent(self, run: Run, limits: RunnerLimits, links: SampleLinks) -> RemoteWork:
        """Return what is submitted, the same each time. What does not fit has links to its recordings.

        Raises UnsupportedRequest if there are no links.
        """
        work = None if self.job is None else Speak(_stripped(self.job, run.id))
        sent = RemoteWork(key=run.id, most_s=limits.most_s, work=work, samples=self.samples)
        size = len(msgspec.json.encode(replace(sent, samples=())))
        size += sum(len(sample.pcm) * 4 // 3 + _JSON_BYTES for sample in self.samples)
        if size <= limits.most_bytes:
            return sent
        if self.job is None or not links.root:
            fits = f"{size} bytes, and it takes {limits.most_bytes}"
            raise UnsupportedRequest(
                "The recordings of the voice are too long for the runner.",
                detail=f"{fits}; server.public_url lets it fetch them",
            )
        model = self.job.model
        return replace(
            sent, samples=tuple([await links.linked(run.id, model, each) for each in self.samples])
        )


def introduction_of(engine: str, plugin: str, runner: str) -> WorkPiece:
    """Return the work that asks the far end what the engine has."""
    said = msgspec.json.encode((API_VERSION, REMOTE_VERSION, engine, plugin, runner))
    subject = hashlib.sha256(said).hexdigest()
    return WorkPiece(f"hello.{engine}.{subject[:16]}", subject)


def piece_name(step: str, engine: str) -> str:
    return f"{step}.{engine}"


async def piece_of(engine: str, job: SpeechJob, recordings: SampleReader, vault: Vault) -> WorkPiece:
    """Return the piece that a step of a job asks of an engine. Raises EngineError."""
    said = msgspec.json.encode(_stripped(job, "")).decode()
    try:
        # Only the account's key makes it: nobody can try texts on the database.
        digest = await vault.name_digest(job.tenant, said)
    except VaultFailed:
        raise EngineUnavailable("The vault cannot be opened.") from None
    samples = tuple([_sample(job, sample, recordings) for sample in find_samples(job.voice)])
    return WorkPiece(piece_name(job.step, engine), digest, job, samples)


def _sample(job: SpeechJob, sample: Sample, recordings: SampleReader) -> RemoteSample:
    return RemoteSample(digest=sample.digest, pcm=recordings.pcm(job, sample))


def _stripped(job: SpeechJob, id_: str) -> SpeechJob:
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
