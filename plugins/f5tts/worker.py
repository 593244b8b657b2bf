"""The worker of F5-TTS, which runs in the environment with torch."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path

import msgspec

import plugins.f5tts.boot  # noqa: F401 - before f5_tts and vocos

# isort: split
from plugins.f5tts.checkpoint import load_checkpoint
from plugins.f5tts.flow import BatchedFlow
from plugins.f5tts.model import STEP_S, F5Model, F5Row
from plugins.f5tts.model_format import RATE_HZ, SAMPLE_S, STEPS, written_languages
from plugins.f5tts.plugin import F5Settings
from plugins.f5tts.text import TextReader
from plugins.f5tts.voices import REVISION, F5Voice
from speech_engine import (
    Audio,
    Context,
    EngineFailed,
    Event,
    Language,
    ModelInfo,
    Plugin,
    Sample,
    Segment,
    SpeechJob,
    UnusableSample,
)
from speech_engine.host.torch_worker import TorchEngine, torch_worker
from speech_engine.model_files import ModelManifest, UnusableModel, read_manifest
from speech_engine.samples import weighted_samples

MOST_CHARACTERS = 200
"""The longest segment: about two of the pieces that the model speaks. The front-end of a language cuts longer
texts better than this engine."""


class F5Engine(TorchEngine[F5Model, F5Voice, F5Row]):
    """Speaks in any voice, of which it needs a recording and the words that are spoken there."""

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        if not any(info.id == job.model for info in self._infos):
            raise EngineFailed(f"F5-TTS has no model {job.model!r}.")
        # A voice is a recording, so the engine cannot mix several voices: there is exactly one.
        ((voice_samples, _),) = weighted_samples(job.voice, "F5-TTS")
        sample = best_sample(voice_samples.samples)

        def prepare() -> tuple[F5Voice, list[tuple[int, Segment]]]:
            self._model.judge(job)
            voice: F5Voice = self._context.samples.derived(
                job, (sample,), lambda recordings: self._model.make_voice(recordings[0], sample.text)
            )
            return voice, self._model.cut(job, voice)

        voice, cut_segments = await self.batch.call(prepare)
        cut_job = msgspec.structs.replace(job, segments=tuple(piece for _, piece in cut_segments))
        async with aclosing(self.batch.speak(cut_job, voice)) as events:
            async for event in events:
                yield Audio(cut_segments[event.segment][0], event.pcm) if isinstance(event, Audio) else event


def best_sample(samples: Sequence[Sample]) -> Sample:
    """Return the longest recording with known words. Raise UnusableSample if there is none."""
    known = [sample for sample in samples if sample.text.strip()]
    if not known:
        raise UnusableSample("F5-TTS must know the words of the recording.")
    return max(known, key=lambda sample: sample.seconds)


def model_infos(manifest: ModelManifest, languages: tuple[str, ...]) -> tuple[ModelInfo, ...]:
    """Describe the models of a checkpoint: one for each number of steps."""
    return tuple(
        ModelInfo(
            id=manifest.name + variant,
            languages=tuple(map(Language, languages)),
            sample_rate_hz=RATE_HZ,
            digest=f"{manifest.digest}-{REVISION}",
            max_characters=MOST_CHARACTERS,
            seeds=True,
            reads_numbers=False,
            licence=manifest.licence,
            speaks_samples=True,
            needs_sample_text=True,
            sample_s=SAMPLE_S,
            sample_hz=RATE_HZ,
        )
        for variant in STEPS
    )


def require_languages(manifest: ModelManifest, vocabulary: dict[str, int]) -> tuple[str, ...]:
    """Return the languages of an imported model.

    Raise UnusableModel if there are none, or if the vocabulary lacks letters of one.
    """
    if not manifest.languages:
        raise UnusableModel(f"{manifest.name}: import it again, with its languages: --language pt")
    written = written_languages(manifest.languages, vocabulary)
    if missing := [tag for tag in manifest.languages if tag not in written]:
        raise UnusableModel(
            f"vocab.txt: it lacks letters of {', '.join(missing)}: import {manifest.name} again with the "
            "vocab.txt of its training, or for other languages"
        )
    return manifest.languages


def _load(settings: F5Settings, context: Context, folder: Path) -> tuple[F5Model, tuple[ModelInfo, ...]]:
    manifest = read_manifest(folder)
    checkpoint = load_checkpoint(
        folder, settings.version, settings.precision, context.device.torch, context.progress
    )
    languages = require_languages(manifest, dict(checkpoint.vocabulary))
    infos = model_infos(manifest, languages)
    steps = dict(zip([info.id for info in infos], STEPS.values(), strict=True))
    reader = TextReader(checkpoint.vocabulary, languages)
    return F5Model(checkpoint, reader, BatchedFlow(checkpoint, settings.cfg), steps), infos


def voxgate_register() -> tuple[Plugin[F5Settings], ...]:
    return torch_worker("f5tts", F5Settings, _load, F5Engine, STEP_S)
