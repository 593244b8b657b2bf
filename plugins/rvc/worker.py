"""The worker of RVC, which runs in the environment with torch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

import plugins.rvc.boot  # noqa: F401 - before rvc and transformers

# isort: split
import torch

from plugins.rvc.checkpoint import RvcVoice
from plugins.rvc.conversion import SIZES, SOURCE_HZ, ConversionOptions, VoiceConversion, options_of
from plugins.rvc.generator import take_excitation
from plugins.rvc.hubert import load_hubert
from plugins.rvc.model import STATED_HZ, STEP_S, RvcModel, RvcRow
from plugins.rvc.networks import build_generator, fold_weight_norms
from plugins.rvc.plugin import RvcSettings
from plugins.rvc.rmvpe import load_rmvpe
from plugins.rvc.voice_rules import VoiceConfig, VoiceLayout
from plugins.rvc.voices import Voices, trained_voice
from speech_engine import ANY_LANGUAGE, Context, Event, Language, ModelInfo, Plugin, SpeechJob, errors
from speech_engine.host.batch_loop import BatchLoop
from speech_engine.host.torch_worker import TorchEngine
from speech_engine.host.windows import SoundWindow
from speech_engine.model_files import find_manifest
from speech_engine.values import Trained

USUAL: Final = VoiceLayout(
    "v2",
    True,
    40_000,
    # The values are in the order of VoiceConfig.
    VoiceConfig(
        *(1025, 32, 192, 192, 768, 2, 6, 3, 0, "1", (3, 7, 11), ((1, 3, 5), (1, 3, 5), (1, 3, 5))),
        *((10, 10, 2, 2), 512, (16, 16, 4, 4), 109, 256, 40_000),
    ),
)
"""The layout of most voices: version 2, with pitch, at 40 kHz. A GPU is warmed up with it."""

_WARM_UP_STEPS = 20


def rows_to_warm_up(weight: int, device: str, precision: str, methods: tuple[str, ...]) -> list[RvcRow]:
    """Return rows of `weight` seconds in all, of noise and a voice with random weights.

    So the first client does not wait, and the time of a step is known. The model thread calls this.
    """
    network: Any = build_generator(USUAL)
    fold_weight_norms(network)
    take_excitation(network)
    network.eval().requires_grad_(False).to(device=device, dtype=getattr(torch, precision))
    job = SpeechJob(id="", tenant="", model="", voice=Trained(""), segments=(), language="", seed=0)
    conversion = VoiceConversion(job, RvcVoice(network, USUAL, None), ConversionOptions(f0_method=methods[0]))
    length = SIZES.lengths[-1]
    noise = torch.randint(-3000, 3000, (length,), dtype=torch.int16).numpy().tobytes()
    window = SoundWindow(0, noise, -SIZES.context, 0, SIZES.usual, is_last=True)
    prepared = conversion.prepare(window)
    count = max(1, round(weight / (length / SOURCE_HZ)))
    return [RvcRow(conversion.voice, prepared, _WARM_UP_STEPS) for _ in range(count)]


MODEL = "standard"
FORMAT = "rvc"
MOST_SEMITONES = 12.0
CLIENT_FIELDS = ("index_rate", "protect", "f0_method", "rms_mix_rate")

_WIDTH_OF_A_PROCESSOR = 12
"""A wider step does not make sound cheaper on a CPU, and all listeners wait for it."""


class RvcEngine(TorchEngine[RvcModel, RvcVoice, RvcRow]):
    """Converts recordings into trained voices. It speaks no texts."""

    voices_on_loan: Voices

    def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        raise errors.EngineCannot("RVC converts recordings; it speaks no texts.")

    async def convert(self, job: SpeechJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        if job.model != MODEL:
            raise errors.EngineFailed(f"RVC has no model {job.model!r}.")
        options = options_of(job, self._model.methods)
        async with self.voices_on_loan.lend(job, trained_voice(job)) as voice:
            if voice.layout.version == "v1" and not self._model.hears_v1:
                message = "This voice is of version 1, for which the server's HuBERT has no final_proj."
                raise errors.UnsupportedOption(message, detail="voice")
            if options.semitones and not voice.layout.has_pitch:
                message = "This voice was trained without pitch, so 'pitch' must be 0."
                raise errors.UnsupportedOption(message, detail="pitch")
            conversion = VoiceConversion(job, voice, options)
            async with aclosing(self.batch.convert(job, conversion, pcm)) as events:
                async for event in events:
                    yield event


def model_info(folder: Path) -> ModelInfo:
    """Describe the one model: its licence is that of the imported files."""
    manifest = find_manifest(folder)
    return ModelInfo(
        id=MODEL,
        languages=(Language(ANY_LANGUAGE),),
        sample_rate_hz=STATED_HZ,
        digest=manifest.digest if manifest else "",
        speaks=False,
        converts=True,
        trains=True,
        trained_format=FORMAT,
        client_fields=CLIENT_FIELDS,
        pitch=(-MOST_SEMITONES, MOST_SEMITONES),
        seeds=True,
        licence=manifest.licence if manifest else "",
    )


def _load(settings: RvcSettings, context: Context, folder: Path) -> RvcModel:
    context.progress(0.1, "reading HuBERT")
    hubert = load_hubert(folder, context.device.torch, settings.precision)
    file = folder / "rmvpe.safetensors"
    context.progress(0.7, "reading RMVPE")
    rmvpe = load_rmvpe(file, context.device.torch) if file.is_file() else None
    return RvcModel(hubert, rmvpe, context.tick)


@asynccontextmanager
async def _create(name: str, settings: RvcSettings, context: Context) -> AsyncIterator[RvcEngine]:
    folder = settings.folder(name)
    is_card = context.device.kind != "cpu"
    if not is_card:
        settings = msgspec.structs.replace(settings, width=min(settings.width, _WIDTH_OF_A_PROCESSOR))
    model = await asyncio.to_thread(_load, settings, context, folder)
    voices = Voices(context, settings.voices_mb * 2**20, settings.precision)
    try:
        async with BatchLoop(model, settings, context, STEP_S) as batch:
            await batch.call(lambda: torch.set_num_threads(settings.threads))  # for the thread that says it
            if is_card:
                context.progress(0.9, "warming up")
                device, precision = context.device.torch, settings.precision
                await batch.warm_up(lambda weight: rows_to_warm_up(weight, device, precision, model.methods))
            engine = RvcEngine(settings, context, model, (model_info(folder),), batch)
            engine.voices_on_loan = voices
            yield engine
    finally:
        await voices.loaded_models.close()


def voxgate_register() -> tuple[Plugin[RvcSettings], ...]:
    return (Plugin(kind="engine", name="rvc", settings=RvcSettings, create=_create),)
