"""The trainer of RVC: a process of its own, in the environment of the engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import plugins.rvc.boot  # noqa: F401 - before rvc and transformers

# isort: split
import torch

from plugins.rvc.hubert import load_hubert
from plugins.rvc.plugin import RvcSettings
from plugins.rvc.rmvpe import load_rmvpe
from plugins.rvc.training import networks as starting
from plugins.rvc.training.loop import Loop
from plugins.rvc.training.networks import Networks
from plugins.rvc.training.onnx_form import as_onnx
from plugins.rvc.training.recordings import Ears, prepare
from plugins.rvc.training.spectrum import SPECTRA
from plugins.rvc.voice_format import VoiceTensor, read_voice_header, write_voice
from plugins.rvc.voice_rules import MOST_VECTORS, VECTORS, read_layout
from speech_engine import training
from speech_engine.model_files import UnusableModel
from speech_engine.plugin import Context, Plugin


class RvcTrainer:
    """Trains voices of version 2 with pitch. It reads the model's folder before untrusted recordings come."""

    def __init__(self, settings: RvcSettings, device: str) -> None:
        torch.set_num_threads(settings.threads)
        self._folder = Path(settings.model_path)
        self._device = device
        starting.check_beginnings(self._folder)
        file = self._folder / "rmvpe.safetensors"
        rmvpe = load_rmvpe(file, device) if file.is_file() else None
        self._ears = Ears(load_hubert(self._folder, device), rmvpe)

    def train(
        self,
        order: training.TrainingOrder,
        recordings: Sequence[training.Recording],
        checkpoint: bytes,
        talk: training.TrainingTalk,
    ) -> training.TrainedVoice:
        def tell(part: float) -> None:
            if talk.must_stop:
                # No step was taken yet, so the last checkpoint is still valid.
                raise training.TrainingStops
            talk.progress(training.TrainingProgress(stage="preparing", step=round(part * 100), of=100))

        tell(0.0)
        rate_hz = starting.choose_rate(self._folder, order.sample_rate_hz)
        if rate_hz not in SPECTRA:
            raise UnusableModel(
                f"voices of {rate_hz} Hz cannot be trained, but of {', '.join(map(str, SPECTRA))}"
            )
        slices, vectors = prepare(recordings, self._ears, SPECTRA[rate_hz], tell)
        torch.manual_seed(order.seed)
        networks = starting.build(self._folder, rate_hz, self._device)
        loop = Loop(networks, slices, order)
        if checkpoint:
            loop.go_on(checkpoint)
        loop.run(talk)
        return training.TrainedVoice(
            voice=_file(networks, loop, vectors),
            steps=len(loop.curve),
            best_step=loop.best_step,
            best=loop.best,
            ended_early=len(loop.curve) < order.most_steps,
            curve=tuple(loop.curve),
        )

    def export(self, voice: bytes, form: training.FileRole) -> bytes:
        if form != "onnx":
            raise training.TrainingError(f"a voice of RVC has no form {form}")
        read_voice_header(BytesIO(voice), len(voice))
        return as_onnx(voice)


def _file(networks: Networks, loop: Loop, vectors: Any) -> bytes:
    """Return the stored form of the best step's voice, with HuBERT's features of its recordings."""
    layout = read_layout(list(networks.layout.config), "v2", 1, networks.layout.rate_hz)
    # An even choice, if there are too many for a quick search.
    every = -(-len(vectors) // MOST_VECTORS)
    tensors: dict[str, Any] = {**loop.voice, VECTORS: vectors[::every].half()}
    made = BytesIO()
    write_voice(made, layout, {name: _tensor(each) for name, each in tensors.items()})
    return made.getvalue()


def _tensor(values: Any) -> VoiceTensor:
    return VoiceTensor("F16", tuple(values.shape), lambda: (values.numpy().tobytes(),))


@asynccontextmanager
async def _create(name: str, settings: RvcSettings, context: Context) -> AsyncIterator[RvcTrainer]:
    del name
    yield RvcTrainer(settings, context.device.torch)


def voxgate_register() -> tuple[Plugin[RvcSettings], ...]:
    return (Plugin(kind="trainer", name="rvc", settings=RvcSettings, create=_create),)
