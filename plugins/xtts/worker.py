"""The worker of XTTS, which runs in the environment with torch."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from pathlib import Path

import plugins.xtts.boot  # noqa: F401 - before TTS and torchaudio

# isort: split
import torch

from plugins.xtts.checkpoint import load_checkpoint
from plugins.xtts.conditioning import VoiceBuilder, XttsVoice, mix, read_studio
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
from speech_engine.host.torch_worker import TorchEngine, torch_worker
from speech_engine.model_files import FolderContents, ModelManifest, UnusableModel, find_manifest
from speech_engine.samples import weighted_voices

LICENCE = "CPML"
MOST_MIXED = 3
MOST_CHARACTERS = 200
"""The lowest limit of the languages with letters. The model may cut a longer sentence short."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class XttsEngine(TorchEngine[XttsModel, XttsVoice, XttsRow]):
    """Speaks with recordings, with the model's own voices, or with the mean of several voices."""

    def voices(self) -> tuple[VoiceInfo, ...]:
        return self._model.studio_infos

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        voices = weighted_voices(job.voice, "XTTS", MOST_MIXED, self._model.studio)
        async with aclosing(self.batch.speak(job, await self._voice(job, voices))) as events:
            async for event in events:
                yield event

    async def _voice(
        self, job: SpeechJob, voices: tuple[tuple[Samples | EngineVoice, float], ...]
    ) -> XttsVoice:
        """Return the voice of a job: one voice, or the weighted mean of several. A mean is not cached."""

        def make(voice: Samples | EngineVoice) -> XttsVoice:
            self._model.judge(job)
            if isinstance(voice, EngineVoice):
                return self._model.studio[voice.id]
            return self._context.samples.derived(job, voice.samples, self._model.make_voice)

        # One call for each voice, so that the batch goes on between them.
        weighted = [(await self.batch.call(partial(make, voice)), weight) for voice, weight in voices]
        return weighted[0][0] if len(weighted) == 1 else await self.batch.call(partial(mix, weighted))


def imported_languages(languages: tuple[str, ...], manifest: ModelManifest | None) -> tuple[str, ...]:
    """Return those of the languages that the manifest allows. Without a manifest, all are allowed."""
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
    """Return a digest of the files of a folder that was not imported. Keys of the audio cache contain it."""
    digest = hashlib.sha256()
    for name in ("config.json", "vocab.json", "model.safetensors", "speakers.safetensors"):
        if name.startswith("speakers") and not (folder / name).exists():
            continue
        with (folder / name).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:32]


def _load(settings: XttsSettings, context: Context, folder: Path) -> tuple[XttsModel, tuple[ModelInfo, ...]]:
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
    model = XttsModel(checkpoint, reader, decoder, VoiceBuilder(checkpoint, device))
    model.studio = read_studio(folder / "speakers.safetensors", names, device)
    model.studio_infos = tuple(
        VoiceInfo(id=id_, name=name, gender=genders.get(id_)) for id_, name in names.items()
    )
    return model, (model_info(folder, languages, manifest),)


def voxgate_register() -> tuple[Plugin[XttsSettings], ...]:
    return torch_worker("xtts", XttsSettings, _load, XttsEngine, STEP_S)
