"""The tiny model in memory, recordings for it, and an engine with voices on its shelf."""

import atexit
import hashlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, aclosing, asynccontextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

from plugins.rvc.conversion import SOURCE_HZ
from plugins.rvc.plugin import RvcSettings
from plugins.rvc.worker import MODEL, RvcEngine
from speech_engine import Audio, Context, SpeechJob, Started, Trained
from speech_engine.host.log import HostLogger
from speech_engine.host.sample_cache import ModelPiece, SampleCache
from speech_engine.plugin import worker_plugin
from tests.plugins.rvc.tiny import write_model

# isort: split
import numpy as np
import torch

torch.set_num_threads(1)  # beside others on a busy machine, more of them only wait for one another

MOST_LSB = 2
TENANT = "acc_1"


@cache
def model_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="rvc-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return write_model(folder)


def recording(seconds: float, number: int = 0, *, pauses: bool = True) -> bytes:
    """Something like speech, at the rate that engines get: a moving pitch, pauses, and breath."""
    count = round(seconds * SOURCE_HZ)
    moments = np.arange(count) / SOURCE_HZ
    hz = 140 + 12 * number + 40 * np.sin(2 * np.pi * (0.7 + 0.05 * number) * moments)
    phase = 2 * np.pi * np.cumsum(hz) / SOURCE_HZ
    voiced = sum(np.sin(part * phase) / part for part in range(1, 12))
    loud = (np.sin(2 * np.pi * 1.5 * moments) > -0.6) | (not pauses)
    breath = np.random.default_rng(number).normal(0, 0.003, count)
    return bytes(((voiced * loud * 0.15 + breath) * 20_000).astype("<i2").tobytes())


def floats(pcm: bytes) -> Any:
    return np.frombuffer(pcm, "<i2").astype(np.float64) / 32768.0


def difference(one: bytes, other: bytes) -> int:
    left, right = (np.frombuffer(each, "<i2").astype(np.int32) for each in (one, other))
    assert left.shape == right.shape
    return int(np.abs(left - right).max())


def spectrum(sound: Any, size: int = 1024) -> Any:
    frames = [sound[at : at + size] * np.hanning(size) for at in range(0, len(sound) - size, size // 2)]
    return np.log(np.maximum(np.abs(np.fft.rfft(np.stack(frames))), 1e-3))


def put_voice(sample_cache: SampleCache, tenant: str, digest: str, file: bytes) -> None:
    sample_cache.put_piece(tenant, MODEL, digest, ModelPiece(file, 0, len(file)))


class Rig:
    """An engine, and the shelf of its host."""

    def __init__(self, engine: RvcEngine, sample_cache: SampleCache) -> None:
        self.engine = engine
        self.sample_cache = sample_cache
        self._count = 0

    def bring(self, file: bytes, tenant: str = TENANT) -> Trained:
        digest = hashlib.sha256(file).hexdigest()
        put_voice(self.sample_cache, tenant, digest, file)
        return Trained(digest)

    def job(self, voice: Trained, pcm: bytes, **more: Any) -> SpeechJob:
        self._count += 1
        told: dict[str, Any] = {"tenant": TENANT, "seed": 1, "estimated_s": len(pcm) / 2 / SOURCE_HZ} | more
        return SpeechJob(id=f"job_{self._count}", model=MODEL, voice=voice, segments=(), language="*", **told)

    async def convert(self, voice: Trained, pcm: bytes, **more: Any) -> tuple[bytes, int]:
        """Return the sound of a recording in a voice, and its rate."""
        return await self.hubert_input(self.job(voice, pcm, **more), in_pieces(pcm))

    async def hubert_input(self, job: SpeechJob, pcm: AsyncIterator[bytes]) -> tuple[bytes, int]:
        """As a host runs a job: it may be dropped with its voice."""
        made, rate = [], 0
        async with aclosing(self.engine.convert(job, pcm)) as events:
            async for event in events:
                if isinstance(event, Started):
                    rate = event.sample_rate_hz
                elif isinstance(event, Audio):
                    made.append(event.pcm)
        return b"".join(made), rate


async def in_pieces(pcm: bytes, size: int = 9_999) -> AsyncIterator[bytes]:
    for at in range(0, len(pcm), size):
        yield pcm[at : at + size]


@asynccontextmanager
async def running(
    *,
    tick: Callable[[], None] = lambda: None,
    waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
    **settings: Any,
) -> AsyncIterator[Rig]:
    sample_cache = SampleCache()
    _, create = worker_plugin("plugins.rvc.worker")
    told = RvcSettings(**{"model_path": str(model_folder()), **settings})
    context = Context(HostLogger("rvc"), tick, samples=sample_cache, waiting=waiting)
    async with create("rvc", told, context) as engine:
        yield Rig(engine, sample_cache)
