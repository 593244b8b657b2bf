"""The worker of Pocket TTS, which runs in the environment with torch."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import torch

from plugins.pocket.decoding import BatchedDecoder
from plugins.pocket.model import STEP_S, LoadedModel, PocketModel, PocketRow, Spoken
from plugins.pocket.model_format import MODEL_FORMAT, find_sizes
from plugins.pocket.networks import load_networks
from plugins.pocket.plugin import PocketSettings
from plugins.pocket.sizes import RATE_HZ, PocketSizes
from plugins.pocket.text import TextReader, preparation_of
from plugins.pocket.voices import SAMPLE_S, PocketVoice, make_voice, mix
from speech_engine import Context, Event, Language, ModelInfo, Plugin, Samples, SpeechJob, errors
from speech_engine.host.batch_loop import BatchLoop
from speech_engine.host.model_cache import ModelCache
from speech_engine.host.torch_worker import TorchEngine
from speech_engine.model_files import FolderContents, ModelManifest, UnusableModel, read_manifest
from speech_engine.samples import weighted_samples

MOST_CHARACTERS = 300
"""A few chunks. A longer segment would delay the sound after the segment before it."""
MOST_MIXED = 3
_BYTES_A_NUMBER = 4


class ImportedModel(NamedTuple):
    """An imported model. `bytes` is its memory once it is loaded."""

    folder: Path
    manifest: ModelManifest
    sizes: PocketSizes

    def __repr__(self) -> str:
        return f"<ImportedModel {self.name}>"

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def bytes(self) -> int:
        return self.manifest.parameters * _BYTES_A_NUMBER

    @property
    def language(self) -> str:
        return self.manifest.languages[0]

    @property
    def info(self) -> ModelInfo:
        return ModelInfo(
            id=self.name,
            languages=(Language(self.language),),
            sample_rate_hz=RATE_HZ,
            digest=self.manifest.digest,
            max_characters=MOST_CHARACTERS,
            seeds=True,
            reads_numbers=False,
            licence=self.manifest.licence,
            speaks_samples=True,
            mixes=True,
            most_mixed=MOST_MIXED,
            sample_s=SAMPLE_S,
            sample_hz=RATE_HZ,
        )


class PocketEngine(TorchEngine[PocketModel, Spoken, PocketRow]):
    """Speaks with recordings of one voice, or with the mean of several voices."""

    def __init__(
        self,
        settings: PocketSettings,
        context: Context,
        model: PocketModel,
        models: Sequence[ImportedModel],
        batch: BatchLoop[Spoken, PocketRow],
    ) -> None:
        super().__init__(settings, context, model, tuple(each.info for each in models), batch)
        self._models = {each.name: each for each in models}
        self._one_voice = threading.Lock()
        self.loaded_models: ModelCache[ImportedModel, LoadedModel] = ModelCache(
            settings.models_mb * 2**20, lambda each: asyncio.to_thread(load, each), context.waiting
        )

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        imported = self._models.get(job.model)
        if imported is None:
            raise errors.EngineFailed(f"Pocket has no model {job.model!r}.")
        samples = weighted_samples(job.voice, "Pocket TTS", MOST_MIXED)
        if job.language.split("-")[0].lower() != imported.language.split("-")[0].lower():
            raise errors.UnsupportedLanguage(f"This model does not speak the language {job.language!r}.")
        async with self.loaded_models.lend(imported, job.deadline_s) as model:
            # All texts are checked before the first is spoken.
            await asyncio.to_thread(_check_texts, job, model)
            voice = await self._voice(job, samples, model)
            async with aclosing(self.batch.speak(job, Spoken(model, voice))) as events:
                async for event in events:
                    yield event

    async def _voice(
        self, job: SpeechJob, samples: tuple[tuple[Samples, float], ...], model: LoadedModel
    ) -> PocketVoice:
        """Return the voice of a job. A mean of several voices is not stored: it ends with the job."""
        made = [(await asyncio.to_thread(self._make, job, each, model), weight) for each, weight in samples]
        return made[0][0] if len(made) == 1 else await asyncio.to_thread(mix, made)

    def _make(self, job: SpeechJob, samples: Samples, model: LoadedModel) -> PocketVoice:
        """Make a voice of recordings. This runs beside the batch's steps, because a voice takes seconds."""
        derived = self._context.samples.derived

        def make(recordings: Sequence[bytes]) -> PocketVoice:
            # This setting is for the calling thread only.
            torch.set_num_threads(1)
            return make_voice(model.networks, recordings, self._context.tick)

        def make_alone(_recordings: Sequence[bytes]) -> PocketVoice:
            # One at a time, to save memory. A job that waited may find the voice made by another job.
            with self._one_voice:
                return derived(job, samples.samples, make)

        # The outer look-up needs no lock. The inner one looks again, under the lock.
        return derived(job, samples.samples, make_alone)


def _check_texts(job: SpeechJob, model: LoadedModel) -> None:
    for segment in job.segments:
        model.reader.chunks(segment.spoken)


def load(model: ImportedModel) -> LoadedModel:
    networks = load_networks(model.folder)
    reader = TextReader(networks, preparation_of(model.language, model.sizes))
    return LoadedModel(networks, reader, BatchedDecoder(networks))


def read_model(folder: Path) -> ImportedModel:
    """Return an imported model without loading it. Raise UnusableModel."""
    manifest = read_manifest(folder)
    sizes = find_sizes(FolderContents(MODEL_FORMAT.files, folder))
    if len(manifest.languages) != 1:
        raise UnusableModel(f"{manifest.name}: import it again, with its one language: --language en")
    return ImportedModel(folder, manifest, sizes)


@asynccontextmanager
async def _create(name: str, settings: PocketSettings, context: Context) -> AsyncIterator[PocketEngine]:
    if not settings.model_paths:
        raise UnusableModel(f"[engines.{name}] names no model: import one, or run voxgate voices own en")
    models = [read_model(Path(path)) for path in settings.model_paths]
    too_large = next((each for each in models if each.bytes > settings.models_mb * 2**20), None)
    if too_large is not None:
        raise UnusableModel(f"{too_large.name} needs {too_large.bytes >> 20} MB: raise models_mb")
    model = PocketModel(settings.threads)
    async with BatchLoop(model, settings, context, STEP_S) as batch:
        engine = PocketEngine(settings, context, model, models, batch)
        try:
            context.progress(0.2, "loading the first model")
            async with engine.loaded_models.lend(models[0]) as first:
                context.progress(0.8, "warming up")
                await batch.warm_up(lambda count: model.warm_up_rows(first, count))
            yield engine
        finally:
            await engine.loaded_models.close()


def voxgate_register() -> tuple[Plugin[PocketSettings], ...]:
    return (Plugin(kind="engine", name="pocket", settings=PocketSettings, create=_create),)
