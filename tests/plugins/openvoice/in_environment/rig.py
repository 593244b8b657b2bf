"""The tiny converter in an engine, recordings for it, and the cache of its host."""

import asyncio
import atexit
import hashlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plugins.openvoice import networks
from plugins.openvoice.graphs import made_graphs
from plugins.openvoice.layers import OpenVoiceSizes
from plugins.openvoice.model_format import RATE_HZ
from plugins.openvoice.networks import Networks
from plugins.openvoice.plugin import OpenVoiceSettings
from plugins.openvoice.sound import SOURCE_HZ, at_model_rate
from plugins.openvoice.worker import MODEL, OpenVoiceEngine
from speech_engine import Audio, Context, Samples, SpeechJob, Started
from speech_engine.host.log import HostLogger
from speech_engine.host.sample_cache import SampleCache
from speech_engine.plugin import worker_plugin
from speech_engine.values import Sample
from tests.plugins.openvoice.tiny import TINY, random_tensors, write_imported

TENANT = "acc_1"


@cache
def model_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="openvoice-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return write_imported(folder)


@cache
def networks_of(sizes: OpenVoiceSizes = TINY) -> Networks:
    return Networks(*made_graphs(random_tensors(sizes), sizes), sizes.width)


def speech(seconds: float, number: int = 0, rate_hz: int = SOURCE_HZ) -> Any:
    """Return something like speech: a moving pitch, pauses, and breath."""
    moments = np.arange(round(seconds * rate_hz)) / rate_hz
    phase = 2 * np.pi * np.cumsum(140 + 12 * number + 40 * np.sin(4.4 * moments)) / rate_hz
    voiced = sum(np.sin(part * phase) / part for part in range(1, 12))
    breath = np.random.default_rng(number).normal(0, 0.003, len(moments))
    return (voiced * (np.sin(9.4 * moments) > -0.6) * 0.1 + breath).astype(np.float32)


def pcm_of(sound: Any) -> bytes:
    return bytes((sound * 32767).astype("<i2").tobytes())


def recording(seconds: float, number: int = 0, rate_hz: int = SOURCE_HZ) -> bytes:
    return pcm_of(speech(seconds, number, rate_hz))


def floats(pcm: bytes) -> Any:
    return np.frombuffer(pcm, "<i2").astype(np.float64) / 32768.0


def resampled(pcm: bytes) -> bytes:
    """Return a recording at the model's rate."""

    async def run() -> bytes:
        return b"".join([made async for made in at_model_rate(in_pieces(pcm, len(pcm)))])

    return asyncio.run(run())


class Rig:
    """An engine, and the recordings in its host."""

    def __init__(self, engine: OpenVoiceEngine, sample_cache: SampleCache) -> None:
        self.engine = engine
        self.sample_cache = sample_cache
        self._count = 0

    def bring(self, *recordings: bytes) -> Samples:
        digests = [hashlib.sha256(each).hexdigest() for each in recordings]
        for digest, pcm in zip(digests, recordings, strict=True):
            self.sample_cache.put(TENANT, MODEL, digest, pcm)
        return Samples(tuple(Sample(digest) for digest in digests))

    def voice(self, number: int = 0) -> Samples:
        return self.bring(recording(6.0, 5 + number, RATE_HZ))

    def job(self, voice: Samples, pcm: bytes, **more: Any) -> SpeechJob:
        self._count += 1
        told: dict[str, Any] = {"tenant": TENANT, "seed": 1, "estimated_s": len(pcm) / 2 / SOURCE_HZ} | more
        return SpeechJob(id=f"job_{self._count}", model=MODEL, voice=voice, segments=(), language="*", **told)

    async def convert(self, voice: Samples, pcm: bytes, size: int = 9_999, **more: Any) -> bytes:
        return await self.hear(self.job(voice, pcm, **more), in_pieces(pcm, size))

    async def hear(self, job: SpeechJob, pcm: AsyncIterator[bytes]) -> bytes:
        made = []
        async with aclosing(self.engine.convert(job, pcm)) as events:
            async for event in events:
                if isinstance(event, Audio):
                    made.append(event.pcm)
                elif isinstance(event, Started):
                    assert event.sample_rate_hz == RATE_HZ
        return b"".join(made)


async def in_pieces(pcm: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(pcm), size):
        yield pcm[at : at + size]


@asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[Rig]:
    sample_cache = SampleCache()
    _, create = worker_plugin("plugins.openvoice.worker")
    told = OpenVoiceSettings(**{"model_path": str(model_folder()), "threads": 1, **settings})
    context = Context(HostLogger("openvoice"), samples=sample_cache)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "PUBLISHED", TINY)
        async with create("openvoice", told, context) as engine:
            yield Rig(engine, sample_cache)
