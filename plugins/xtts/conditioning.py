"""A voice as the model knows it, derived from recordings. It is biometric: it stays in memory alone.

The host keeps it under the recordings' digests, and forgets it with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import plugins.xtts.boot  # noqa: F401 - before torchaudio

# isort: split
import numpy as np
import torch
import torchaudio

from plugins.xtts.checkpoint import Checkpoint
from plugins.xtts.model_format import MELS, SAMPLE_HZ, STUDIO_LATENTS, STUDIO_SPEAKER
from speech_engine.errors import UnusableSample
from speech_engine.host.weights import read_tensors

LEAST_S = 0.33
_SPEAKER_HZ = 16_000
_QUIETEST = 1e-5
_RAISED_TO = 0.75
_SHORTEST = 1e-6


class XttsVoice(NamedTuple):
    """What the language model and the vocoder hear of a speaker."""

    latents: Any
    speaker: Any

    def __repr__(self) -> str:
        return "<XttsVoice>"


def mix(parts: Sequence[tuple[XttsVoice, float]]) -> XttsVoice:
    """Return the mean of voices by their weights, which add up to 1.

    The model's encoder gives each recording's speaker the length 1; a mean of two directions is shorter. So a
    mixed speaker is made as long as its members are on average.
    """
    with torch.inference_mode():
        speaker = sum(voice.speaker * weight for voice, weight in parts)
        length = sum(voice.speaker.norm() * weight for voice, weight in parts)
        latents = sum(voice.latents * weight for voice, weight in parts)
        return XttsVoice(latents, speaker * (length / speaker.norm().clamp(min=_SHORTEST)))


def read_studio(file: Path, names: Mapping[str, str], device: str) -> dict[str, XttsVoice]:
    """Return the voices that came with a model by their ids. `names` has what the file calls them."""
    tensors = read_tensors(file) if names else {}
    return {
        id_: XttsVoice(
            *(tensors[f"{name}.{part}"].float().to(device) for part in (STUDIO_LATENTS, STUDIO_SPEAKER))
        )
        for id_, name in names.items()
    }


class VoiceMaker:
    """Makes voices with one model."""

    def __init__(self, checkpoint: Checkpoint, device: str) -> None:
        self._checkpoint = checkpoint
        self._device = device
        self._mels = torchaudio.transforms.MelSpectrogram(
            sample_rate=SAMPLE_HZ,
            n_fft=2048,
            hop_length=256,
            win_length=1024,
            power=2,
            f_min=0,
            f_max=8000,
            n_mels=MELS,
            norm="slaney",
        )

    def make(self, recordings: Sequence[bytes]) -> XttsVoice:
        """Make a voice of recordings, 16-bit mono at SAMPLE_HZ. Raise UnusableSample if all are too short."""
        settings = self._checkpoint.conditioning
        sounds = [_floats(each)[:, : settings.recording_s * SAMPLE_HZ] for each in recordings]
        sounds = [each for each in sounds if each.shape[1] >= LEAST_S * SAMPLE_HZ]
        if not sounds:
            raise UnusableSample(f"The recordings are shorter than {LEAST_S} seconds.")
        if settings.raises_level:
            sounds = [each / each.abs().max().clamp(min=_QUIETEST) * _RAISED_TO for each in sounds]
        with torch.inference_mode():
            speakers = torch.stack([self._speaker(each) for each in sounds])
            return XttsVoice(self._latents(torch.cat(sounds, dim=1)), speakers.mean(dim=0))

    def _speaker(self, sound: Any) -> Any:
        resampled = torchaudio.functional.resample(sound, SAMPLE_HZ, _SPEAKER_HZ).to(self._device)
        encoder = self._checkpoint.decoder.speaker_encoder
        return encoder.forward(resampled, l2_norm=True).unsqueeze(-1)

    def _latents(self, sound: Any) -> Any:
        """Return the mean of what the language model makes of each chunk: (1, 32, its width)."""
        settings, gpt = self._checkpoint.conditioning, self._checkpoint.gpt
        sound = sound[:, : settings.gpt_s * SAMPLE_HZ]
        chunks = [
            chunk
            for chunk in torch.split(sound, settings.chunk_s * SAMPLE_HZ, dim=1)
            if chunk.shape[1] >= LEAST_S * SAMPLE_HZ
        ]
        styles = [gpt.get_style_emb(self._bands(chunk), None) for chunk in chunks]
        return torch.stack(styles).mean(dim=0).transpose(1, 2)

    def _bands(self, chunk: Any) -> Any:
        bands = torch.log(self._mels(chunk).clamp(min=_QUIETEST))
        return (bands / self._checkpoint.mel_stats.view(1, -1, 1)).to(self._device)


def _floats(pcm: bytes) -> Any:
    return torch.from_numpy(np.frombuffer(pcm, "<i2").astype(np.float32) / 32768.0).unsqueeze(0)
