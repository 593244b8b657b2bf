"""A voice, derived from recordings. It is biometric, so it is stored in memory only.

The host stores it under the recordings' digests and deletes it with them.
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
    """The language model's latents, (1, 32, width), and the speaker's embedding, (1, width, 1)."""

    latents: Any
    speaker: Any

    def __repr__(self) -> str:
        return "<XttsVoice>"


def mix(parts: Sequence[tuple[XttsVoice, float]]) -> XttsVoice:
    """Return the mean of voices by their weights, which add up to 1.

    The speaker of a recording has the length 1, and a mean of two directions is shorter. So a mixed speaker
    gets the mean length of its members.
    """
    with torch.inference_mode():
        speaker = sum(voice.speaker * weight for voice, weight in parts)
        length = sum(voice.speaker.norm() * weight for voice, weight in parts)
        latents = sum(voice.latents * weight for voice, weight in parts)
        return XttsVoice(latents, speaker * (length / speaker.norm().clamp(min=_SHORTEST)))


def read_studio(file: Path, names: Mapping[str, str], device: str) -> dict[str, XttsVoice]:
    """Return the model's own voices by id. `names` maps ids to names in the file."""
    tensors = read_tensors(file) if names else {}
    return {
        id_: XttsVoice(
            *(tensors[f"{name}.{part}"].float().to(device) for part in (STUDIO_LATENTS, STUDIO_SPEAKER))
        )
        for id_, name in names.items()
    }


class VoiceBuilder:
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
        floats = [np.frombuffer(each, "<i2").astype(np.float32) / 32768.0 for each in recordings]
        sounds = [torch.from_numpy(each)[None, : settings.recording_s * SAMPLE_HZ] for each in floats]
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
        """Return the mean of the language model's latents of each chunk: (1, 32, width)."""
        settings, gpt = self._checkpoint.conditioning, self._checkpoint.gpt
        sound = sound[:, : settings.gpt_s * SAMPLE_HZ]
        chunks = [
            chunk
            for chunk in torch.split(sound, settings.chunk_s * SAMPLE_HZ, dim=1)
            if chunk.shape[1] >= LEAST_S * SAMPLE_HZ
        ]
        styles = []
        for chunk in chunks:
            bands = torch.log(self._mels(chunk).clamp(min=_QUIETEST)) / self._checkpoint.mel_stats.view(
                1, -1, 1
            )
            styles.append(gpt.get_style_emb(bands.to(self._device), None))
        return torch.stack(styles).mean(dim=0).transpose(1, 2)
