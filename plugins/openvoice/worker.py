"""The worker of OpenVoice, which runs in the environment with onnxruntime."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path

from plugins.openvoice.conversion import STEP_S, OpenVoiceModel, ToneConversion, ToneRow, tau_of
from plugins.openvoice.model_format import RATE_HZ
from plugins.openvoice.networks import SAMPLE_S, ToneVoice, load_networks
from plugins.openvoice.plugin import OpenVoiceSettings
from speech_engine import ANY_LANGUAGE, Context, Event, Language, ModelInfo, Plugin, SpeechJob, errors
from speech_engine.host.torch_worker import TorchEngine, torch_worker
from speech_engine.model_files import find_manifest
from speech_engine.samples import weighted_samples

MODEL = "standard"
CLIENT_FIELDS = ("tau",)


class OpenVoiceEngine(TorchEngine[OpenVoiceModel, ToneVoice, ToneRow]):
    """Repeats recordings in the voice of other recordings. It speaks no texts."""

    def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        raise errors.EngineCannot("OpenVoice converts recordings; it speaks no texts.")

    async def convert(self, job: SpeechJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        if job.model != MODEL:
            raise errors.EngineFailed(f"OpenVoice has no model {job.model!r}.")
        tau = tau_of(job, self._model.tau)
        voice = await asyncio.to_thread(self._voice, job)
        conversion = ToneConversion(job, voice, tau, self._model.networks)
        async with (
            aclosing(conversion.at_rate(pcm)) as recording,
            aclosing(self.batch.convert(job, conversion, recording)) as events,
        ):
            async for event in events:
                yield event

    def _voice(self, job: SpeechJob) -> ToneVoice:
        ((samples, _),) = weighted_samples(job.voice, "OpenVoice")
        return self._context.samples.derived(job, samples.samples, self._model.networks.make_voice)


def model_info(folder: Path) -> ModelInfo:
    """Describe the one model: its licence is that of the imported files."""
    manifest = find_manifest(folder)
    return ModelInfo(
        id=MODEL,
        languages=(Language(ANY_LANGUAGE),),
        sample_rate_hz=RATE_HZ,
        digest=manifest.digest if manifest else "",
        speaks=False,
        converts=True,
        speaks_samples=True,
        sample_s=SAMPLE_S,
        sample_hz=RATE_HZ,
        client_fields=CLIENT_FIELDS,
        seeds=True,
        licence=manifest.licence if manifest else "",
    )


def _load(
    settings: OpenVoiceSettings, context: Context, folder: Path
) -> tuple[OpenVoiceModel, tuple[ModelInfo, ...]]:
    context.progress(0.1, "reading the converter")
    networks = load_networks(folder, settings.threads, context.tick)
    return OpenVoiceModel(networks, settings.tau), (model_info(folder),)


def voxgate_register() -> tuple[Plugin[OpenVoiceSettings], ...]:
    return torch_worker("openvoice", OpenVoiceSettings, _load, OpenVoiceEngine, STEP_S)
