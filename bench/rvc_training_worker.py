"""The work of `bench.rvc_training`, where torch is."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from plugins.rvc.networks import build_generator
from plugins.rvc.plugin import RvcSettings
from plugins.rvc.trainer import RvcTrainer
from speech_engine.training import Recording, TrainingOrder, TrainingProgress
from tests.plugins.rvc.tiny import FULL_HUBERT, TINY_HUBERT, layout, write_model

# isort: split
import numpy as np
import torch
from safetensors.torch import save_file

_HZ = 24_000
_CLIP_S = 6.0


class _Clock:
    """A `TrainingTalk` that notes when each step was over."""

    must_stop = False

    def __init__(self, middle: int) -> None:
        self.middle = middle
        self.ends: list[float] = []
        self.begins: dict[str, float] = {}
        self.checkpoint_s = 0.0
        self.checkpoint_bytes = 0

    def progress(self, progress: TrainingProgress) -> None:
        self.begins.setdefault(progress.stage, time.monotonic())
        if progress.stage == "training":
            self.ends.append(time.monotonic())

    def is_due(self, step: int) -> bool:
        """One, in the middle."""
        return step == self.middle

    def checkpoint(self, step: int, pieces: Iterable[bytes]) -> None:
        del step
        began = time.monotonic()
        self.checkpoint_bytes = sum(map(len, pieces))
        self.checkpoint_s = time.monotonic() - began


def main() -> None:
    device, threads, size, steps, batch, minutes = sys.argv[1:]
    is_full = size == "full"
    with tempfile.TemporaryDirectory() as kept:
        folder = write_model(Path(kept), FULL_HUBERT if is_full else TINY_HUBERT)
        torch.manual_seed(0)
        network = build_generator(layout(is_full=is_full))
        begin = {name: value.contiguous() for name, value in network.state_dict().items()}
        save_file(begin, folder / "generator_40k.safetensors")
        settings = RvcSettings(model_path=str(folder), threads=int(threads))
        trainer, clock, began = (
            RvcTrainer(settings, device),
            _Clock(max(1, int(steps) // 2)),
            time.monotonic(),
        )
        order = TrainingOrder(seed=1, most_steps=int(steps), batch=int(batch))
        voice = trainer.train(order, _recordings(float(minutes)), b"", clock)
        learnt = time.monotonic()
        onnx = trainer.export(voice.voice, "onnx")
        over = time.monotonic()
    gaps = np.diff(clock.ends)
    print(f"{size} networks on {device}, {threads} threads, batch {batch}, {minutes} minutes of recordings")
    print(f"preparing {clock.begins['training'] - began:.1f} s")
    print(f"a step: median {np.median(gaps):.3f} s, p95 {np.quantile(gaps, 0.95):.3f} s of {len(gaps)}")
    print(f"mel {voice.curve[0]:.1f} to {voice.curve[-1]:.1f} in {voice.steps} steps")
    print(f"a checkpoint {clock.checkpoint_bytes / 1e6:.0f} MB in {clock.checkpoint_s:.1f} s")
    sizes = f"the voice {len(voice.voice) / 1e6:.0f} MB; ONNX {len(onnx) / 1e6:.0f} MB"
    print(f"{sizes}, tried, in {over - learnt:.1f} s")
    if device.startswith("cuda"):
        print(f"most memory of the device {torch.cuda.max_memory_allocated() / 1e9:.1f} GB")
    print(f"most memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB")


def _recordings(minutes: float) -> list[Recording]:
    moments = np.arange(round(_CLIP_S * _HZ)) / _HZ
    made = []
    for number in range(max(4, round(minutes * 60 / _CLIP_S))):
        hz = 140 + 10 * (number % 8) + 30 * np.sin(2 * np.pi * 0.7 * moments)
        phase = 2 * np.pi * np.cumsum(hz) / _HZ
        voiced = sum(np.sin(part * phase) / part for part in range(1, 12))
        noise = np.random.default_rng(number).normal(0, 0.01, len(moments))
        made.append(Recording(_HZ, ((voiced * 0.15 + noise) * 20_000).astype("<i2").tobytes()))
    return made


if __name__ == "__main__":
    main()
