"""Turn latents into sound, piece by piece. The pieces are equal to the sound of all latents at once.

A latent becomes about 4.35 frames of 256 samples. The network needs 13 frames on each side of a frame, and
the last frames change with the next latent. So a piece ends before those, which begin the next piece.
"""

from __future__ import annotations

from typing import Any

import torch

from plugins.xtts.model_format import (
    CODE_SAMPLES,
    CONTEXT_FRAMES,
    FIRST_CODES,
    HOP,
    NEXT_CODES,
    RATE_HZ,
    SAMPLE_HZ,
    UNSETTLED_FRAMES,
)

_LOUDEST = 32767


class SoundWindow:
    """The place of one row's next piece: how many frames were returned, and how many latents there were."""

    def __init__(self) -> None:
        self.frames_yielded = 0
        self.latents_decoded = 0

    def is_due(self, latents: int) -> bool:
        return latents - self.latents_decoded >= (NEXT_CODES if self.latents_decoded else FIRST_CODES)

    def next_piece(self, network: Any, latents: Any, speaker: Any, is_last: bool) -> Any:
        """Return the next samples, from -1 to 1. `latents` are all of the row, (count, width)."""
        self.latents_decoded = latents.shape[0]
        frames = stretch(latents)
        count = frames.shape[2]
        begin, end = self.frames_yielded, count if is_last else count - CONTEXT_FRAMES - UNSETTLED_FRAMES
        if end <= begin:
            return latents.new_zeros(0)
        low, high = max(0, begin - CONTEXT_FRAMES), min(count, end + CONTEXT_FRAMES)
        sound = network(frames[:, :, low:high], g=speaker)[0, 0]
        self.frames_yielded = end
        return sound[(begin - low) * HOP : (end - low) * HOP]


def stretch(latents: Any) -> Any:
    frames = torch.nn.functional.interpolate(
        latents.T.unsqueeze(0), scale_factor=[CODE_SAMPLES / HOP], mode="linear"
    )
    return torch.nn.functional.interpolate(frames, scale_factor=[RATE_HZ / SAMPLE_HZ], mode="linear")


def pcm_of(samples: Any) -> bytes:
    whole = (samples.clamp(-1.0, 1.0) * _LOUDEST).round().to(torch.int16)
    pcm: bytes = whole.cpu().numpy().astype("<i2").tobytes()
    return pcm
