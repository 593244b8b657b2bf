"""The cache of loaded voices, with a limit of bytes. A voice is loaded outside of the model's thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any, NamedTuple

import torch

from plugins.rvc.checkpoint import RvcVoice, load_voice
from plugins.rvc.plugin import Precision
from plugins.rvc.voice_rules import VECTORS
from speech_engine.errors import EngineBusy, EngineFailed, VoiceNotFound
from speech_engine.host.model_cache import ModelCache
from speech_engine.model_files import UnusableModel
from speech_engine.model_files.safetensors import read_header
from speech_engine.plugin import Context
from speech_engine.values import SpeechJob, Trained, owner_of

_BYTES = {"float32": 4, "float16": 2}


class _Wanted(NamedTuple):
    """A voice that may be loaded: its file, and the memory that it will need."""

    name: str
    file: bytes
    bytes: int

    def __repr__(self) -> str:
        return f"<_Wanted of {self.bytes:,} bytes>"


class Voices:
    """Lends voices, and removes those that the server deletes."""

    def __init__(self, context: Context, most_bytes: int, precision: Precision) -> None:
        self._samples = context.samples
        self._device = context.device.torch
        self._tick: Callable[[], None] = context.tick
        self._most_bytes = most_bytes
        self._precision = precision
        self.loaded_models: ModelCache[_Wanted, RvcVoice] = ModelCache(
            most_bytes, self._load, context.waiting
        )
        context.samples.on_drop(self._forget)

    @asynccontextmanager
    async def lend(self, job: SpeechJob, voice: Trained) -> AsyncIterator[RvcVoice]:
        """Yield a job's voice, which stays in memory until the end of the block.

        Raises VoiceNotFound if it was deleted, EngineFailed if it cannot be loaded, and EngineBusy if other
        voices need all memory until the job's deadline.
        """
        wanted = self._wanted(job, voice)
        if wanted.bytes > self._most_bytes:
            raise EngineFailed("The voice needs more memory than voices_mb allows.")
        async with self.loaded_models.lend(wanted, job.deadline_s) as loaded:
            yield loaded

    def _wanted(self, job: SpeechJob, voice: Trained) -> _Wanted:
        file = self._samples.model(job, voice)
        try:
            header = read_header(BytesIO(file), len(file))
        except UnusableModel as fault:
            raise EngineFailed("The voice's file is broken.", detail=str(fault)) from None
        numbers = sum(info.numbers for name, info in header.items() if name != VECTORS)
        # Vectors keep float32 in any precision.
        vectors = header[VECTORS].numbers * _BYTES["float32"] if VECTORS in header else 0
        # Accounts do not share voices, even if their files are equal.
        return _Wanted(f"{owner_of(job)}/{voice.digest}", file, numbers * _BYTES[self._precision] + vectors)

    async def _load(self, wanted: _Wanted) -> RvcVoice:
        try:
            return await self._load_once(wanted)
        except torch.OutOfMemoryError:
            self.loaded_models.forget_idle()
        try:
            return await self._load_once(wanted)
        except torch.OutOfMemoryError:
            raise EngineBusy("The engine has no memory for one more voice.", retry_after_s=1.0) from None

    async def _load_once(self, wanted: _Wanted) -> RvcVoice:
        try:
            return await asyncio.to_thread(load_voice, wanted.file, self._device, self._precision, self._tick)
        except UnusableModel as fault:
            raise EngineFailed("The voice's file cannot be used.", detail=str(fault)) from None

    def _forget(self, digests: Collection[str]) -> asyncio.Future[Any]:
        names = [name for name in self.loaded_models.names() if name.rpartition("/")[2] in digests]
        return asyncio.gather(*filter(None, map(self.loaded_models.forget, names)))


def trained_voice(job: SpeechJob) -> Trained:
    """Return the voice of a job. Raise VoiceNotFound for one of another kind."""
    if not isinstance(job.voice, Trained):
        raise VoiceNotFound("RVC converts into voices that were trained for it.")
    return job.voice
