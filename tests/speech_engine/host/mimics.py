"""An engine that gives back the recordings it is to speak with, and a shelf that counts what comes to it."""

import asyncio
from collections.abc import AsyncGenerator
from hashlib import sha256

from msgspec.structs import replace

from speech_engine import Audio, Event, Finished, ModelInfo, Sample, Samples, SpeechJob, Started, Trained
from speech_engine.host.sample_cache import SampleCache
from speech_engine.values import find_samples
from tests.speech_engine.host.fakes import MODEL, RATE_HZ, FakeEngine, job

CLONING = replace(MODEL, speaks_samples=True, mixes=True, trained_format="mimic")


class CountingCache(SampleCache):
    """Keeps the name of each recording that came."""

    def __init__(self, limit_bytes: int = 10_000) -> None:
        super().__init__(limit_bytes)
        self.came: list[tuple[str, str]] = []

    def put(self, tenant: str, model: str, digest: str, pcm: bytes) -> None:
        super().put(tenant, model, digest, pcm)
        self.came.append((tenant, digest))


class Mimic(FakeEngine):
    """Speaks the recordings of its voice, one after the other, or a digest of its model. With `holds`, it
    then waits to be stopped."""

    def __init__(self, sample_cache: SampleCache, slots: int = 16, *, holds: bool = False) -> None:
        super().__init__(self._mimic, slots)
        self.stopped: list[str] = []
        self._sample_cache = sample_cache
        self._holds = holds

    def models(self) -> tuple[ModelInfo, ...]:
        return (CLONING,)

    async def _mimic(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        yield Started(RATE_HZ)
        if isinstance(job.voice, Trained):
            yield Audio(0, sha256(self._sample_cache.model(job, job.voice)).digest())
        for sample in find_samples(job.voice):
            yield Audio(0, self._sample_cache.pcm(job, sample))
        if self._holds:
            try:
                await asyncio.Event().wait()
            finally:
                self.stopped.append(job.id)
        yield Finished()


def trained(digest: str, id_: str = "job_1", tenant: str = "acc_1") -> SpeechJob:
    """A job that speaks with the model of this digest."""
    return replace(job(id_, tenant), voice=Trained(digest))


def sampled(*digests: str, id_: str = "job_1", tenant: str = "acc_1", deadline_s: float = 5.0) -> SpeechJob:
    """A job that speaks with recordings of these digests."""
    voice = Samples(tuple(map(Sample, digests)))
    return replace(job(id_, tenant, deadline_s), voice=voice)
