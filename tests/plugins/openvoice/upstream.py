"""Upstream's answers: `python -m tests.plugins.openvoice.upstream FOLDER`, where coqui-tts is.

It writes `upstream.npz` for each size: a sound, its spectrum, the voice in it, and the sound of a conversion
with its noise. Upstream's `tau` is 0.3.
"""

import sys
from pathlib import Path
from typing import Any

import plugins.xtts.boot  # noqa: F401 - before TTS

# isort: split
import numpy as np
import torch
from TTS.utils.audio.torch_transforms import wav_to_spec
from TTS.vc.configs.openvoice_config import OpenVoiceConfig
from TTS.vc.models.openvoice import OpenVoice

from plugins.openvoice.layers import PUBLISHED, OpenVoiceSizes
from tests.plugins.openvoice.tiny import TINY, random_tensors

SECONDS = 2.0


def network(sizes: OpenVoiceSizes) -> Any:
    config = OpenVoiceConfig()
    config.model_args.inter_channels = config.model_args.hidden_channels = sizes.width
    config.model_args.upsample_initial_channel = sizes.decoder
    config.model_args.gin_channels = sizes.voice
    made = OpenVoice(config).eval()
    made.load_state_dict({name: torch.from_numpy(value) for name, value in random_tensors(sizes).items()})
    return made


def main(folder: Path, sizes: OpenVoiceSizes) -> None:
    torch.manual_seed(0)
    made = network(sizes)
    sound = torch.from_numpy(speech(SECONDS))[None]
    spectrum = wav_to_spec(sound, n_fft=1024, hop_length=256, win_length=1024, center=False)
    with torch.inference_mode():
        voice = made.ref_enc(spectrum.transpose(1, 2))
        # Two voices that differ in each number: a sum of both, or one in place of the other, is far away.
        source, target = voice[..., None], torch.randn(1, sizes.voice, 1)
        noise = torch.randn(1, sizes.width, spectrum.shape[-1])
        drawn, torch.randn_like = torch.randn_like, lambda _mean: noise
        voices = {"x_lengths": None, "g_src": source, "g_tgt": target}
        converted = made.inference(spectrum, voices)["model_outputs"]
        torch.randn_like = drawn
    (folder / sizes.name).mkdir()
    np.savez(
        folder / sizes.name / "upstream.npz",
        sound=sound[0].numpy(),
        spectrum=spectrum[0].numpy(),
        voice=voice[0].numpy(),
        target=target[0, :, 0].numpy(),
        noise=noise[0].numpy(),
        converted=converted[0, 0].numpy(),
    )


def speech(seconds: float, rate_hz: int = 22_050) -> Any:
    """Return something like speech: a moving pitch, pauses, and breath."""
    moments = np.arange(round(seconds * rate_hz)) / rate_hz
    phase = 2 * np.pi * np.cumsum(140 + 40 * np.sin(4.4 * moments)) / rate_hz
    voiced = sum(np.sin(part * phase) / part for part in range(1, 12))
    breath = np.random.default_rng(0).normal(0, 0.003, len(moments))
    return (voiced * (np.sin(9.4 * moments) > -0.6) * 0.1 + breath).astype(np.float32)


if __name__ == "__main__":
    for each in (TINY, PUBLISHED):
        main(Path(sys.argv[1]), each)
