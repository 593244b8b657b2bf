"""The worker of XTTS: its model in a batch, in the environment that has torch."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import plugins.xtts.boot  # noqa: F401 - before TTS and torchaudio

# isort: split
import torch

from plugins.xtts.checkpoint import load_checkpoint
from plugins.xtts.conditioning import VoiceMaker, XttsVoice, mix, read_studio
from plugins.xtts.decoding import BatchedDecoder
from plugins.xtts.model import STEP_S, XttsModel, XttsRow
from plugins.xtts.model_format import MODEL_FORMAT, RATE_HZ, SAMPLE_HZ, bcp47_of, studio_voices
from plugins.xtts.plugin import XttsSettings
from plugins.xtts.text import TextReader, readable_languages
from speech_engine import (
    Context,
    EngineVoice,
    Event,
    Language,
    ModelInfo,
    Plugin,
    Samples,
    SpeechJob,
    VoiceInfo,
)
from speech_engine.host.batch_loop import BatchLoop
from speech_engine.model_files import FolderContents, ModelManifest, UnusableModel, find_manifest
from speech_engine.samples import weighted_voices

LICENCE = "CPML"
MOST_MIXED = 3
MOST_CHARACTERS = 200
"""The shortest limit of the languages with letters; a longer sentence may be cut short by the model."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class Loaded(NamedTuple):
    """A model, and the voices that came with it."""

    model: XttsModel
    info: ModelInfo
    studio: Mapping[str, XttsVoice]
    voices: tuple[VoiceInfo, ...]


class XttsEngine:
    """Speaks with recordings of any voice, with voices that came with the model, or with the mean of some."""

    def __init__(
        self,
        settings: XttsSettings,
        context: Context,
        loaded: Loaded,
        batch: BatchLoop[XttsVoice, XttsRow],
    ) -> None:
        self._settings = settings
        self._context = context
        self._loaded = loaded
        self.batch = batch

    def __repr__(self) -> str:
        return f"<XttsEngine {self._loaded.info.id}, {self.batch!r}>"

    @property
    def slots(self) -> int:
        return self._settings.slots

    def models(self) -> tuple[ModelInfo, ...]:
        return (self._loaded.info,)

    def voices(self) -> tuple[VoiceInfo, ...]:
        return self._loaded.voices

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        voices = weighted_voices(job.voice, "XTTS", MOST_MIXED, self._loaded.studio)
        async with aclosing(self.batch.speak(job, await self._voice(job, voices))) as events:
            async for event in events:
                yield event

    async def _voice(
        self, job: SpeechJob, voices: tuple[tuple[Samples | EngineVoice, float], ...]
    ) -> XttsVoice:
        """Make a voice, or the mean of several. The mean is kept by its job alone, so it ends with it."""

        def make(voice: Samples | EngineVoice) -> XttsVoice:
            self._loaded.model.judge(job)
            if isinstance(voice, EngineVoice):
                return self._loaded.studio[voice.id]
            return self._context.samples.derived(job, voice.samples, self._loaded.model.make_voice)

        # A call for each: between two of them the others are spoken on.
        made = [(await self.batch.call(partial(make, voice)), weight) for voice, weight in voices]
        return made[0][0] if len(made) == 1 else await self.batch.call(partial(mix, made))


def imported_languages(languages: tuple[str, ...], manifest: ModelManifest | None) -> tuple[str, ...]:
    """Return those of a model's languages for which it was imported."""
    if manifest is None or not manifest.languages:
        return languages
    return tuple(language for language in languages if bcp47_of(language) in manifest.languages)


def model_info(folder: Path, languages: tuple[str, ...], manifest: ModelManifest | None) -> ModelInfo:
    """Describe a model. Without a manifest, its folder's name is its name."""
    name = folder.name.lower()
    return ModelInfo(
        id=manifest.name if manifest else name if _NAME.fullmatch(name) else "xtts",
        languages=tuple(Language(bcp47_of(language)) for language in languages),
        sample_rate_hz=RATE_HZ,
        digest=manifest.digest if manifest else _digest_of(folder),
        max_characters=MOST_CHARACTERS,
        seeds=True,
        reads_numbers=False,
        licence=LICENCE,
        paid_use=False,
        must_accept_licence=True,
        speaks_samples=True,
        mixes=True,
        most_mixed=MOST_MIXED,
        sample_s=(3.0, 30.0),
        sample_hz=SAMPLE_HZ,
    )


def _digest_of(folder: Path) -> str:
    """Name a folder that was not imported by all of its files: the audio cache must tell models apart."""
    digest = hashlib.sha256()
    for name in ("config.json", "vocab.json", "model.safetensors", "speakers.safetensors"):
        if name.startswith("speakers") and not (folder / name).exists():
            continue
        with (folder / name).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:32]


def _load(settings: XttsSettings, context: Context, folder: Path) -> Loaded:
    device = context.device.torch
    checkpoint = load_checkpoint(folder, device, context.progress)
    manifest = find_manifest(folder)
    names = studio_voices(FolderContents(MODEL_FORMAT.files, folder), checkpoint.sizes.dim)
    genders = manifest.genders if manifest else {}
    imported = imported_languages(checkpoint.languages, manifest)
    languages = readable_languages(imported)
    for missing in set(imported) - set(languages):
        context.log.warning("xtts.language.unreadable", language=missing)
    if not languages:
        raise UnusableModel("config.json: this environment can read none of the model's languages")
    reader = TextReader(checkpoint.vocabulary, languages, checkpoint.sizes)
    decoder = BatchedDecoder(checkpoint, getattr(torch, settings.precision))
    model = XttsModel(checkpoint, reader, decoder, VoiceMaker(checkpoint, device))
    return Loaded(
        model,
        model_info(folder, languages, manifest),
        read_studio(folder / "speakers.safetensors", names, device),
        tuple(VoiceInfo(id=id_, name=name, gender=genders.get(id_)) for id_, name in names.items()),
    )


@asynccontextmanager
async def _create(name: str, settings: XttsSettings, context: Context) -> AsyncIterator[XttsEngine]:
    if not settings.model_path:
        raise UnusableModel(f"[engines.{name}] names no model: import one, or set model_path")
    folder = Path(settings.model_path)
    loaded = await asyncio.to_thread(_load, settings, context, folder)
    async with BatchLoop(loaded.model, settings, context, STEP_S) as batch:
        context.progress(0.9, "warming up")
        await batch.warm_up(lambda count: loaded.model.warm_up_rows(count, settings.threads))
        yield XttsEngine(settings, context, loaded, batch)


def voxgate_register() -> tuple[Plugin[XttsSettings], ...]:
    return (Plugin(kind="engine", name="xtts", settings=XttsSettings, create=_create),)
