"""The pitch of sounds by RMVPE, a network, for many sounds of one length at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import plugins.rvc.boot  # noqa: F401 - before rvc

# isort: split
import numpy as np
import torch
from rvc.lib.rmvpe import E2E
from torch.nn.functional import pad

from speech_engine.host.weights import fill, read_tensors

HUBERT_HZ, HOP = 16_000, 160
_FFT, _BANDS = 1024, 128
_LEAST_HZ, _MOST_HZ = 30.0, 8000.0
_QUIETEST = 1e-5
_UNVOICED = 0.03
_PITCHES = 360
_CENTS_A_PITCH = 20.0
_LEAST_CENTS = 1997.3794084376191
_ZERO_CENTS_HZ = 10.0
_AROUND = 4
_FRAMES_AT_ONCE = 32
"""The network halves its input five times."""


# torch is not installed where types are checked.
class Rmvpe(torch.nn.Module):  # type: ignore[misc]
    """The network with its spectrum and the choice of pitches, always in float32."""

    def __init__(self) -> None:
        super().__init__()
        self.network = E2E(4, 1, (2, 2))
        self.register_buffer("filters", torch.from_numpy(_mel_filters()).float(), persistent=False)
        self.register_buffer("window", torch.hann_window(_FFT), persistent=False)

    def forward(self, sounds: Any) -> Any:
        """Return the pitches of sounds (rows, samples) in Hz (rows, frames), or 0."""
        frames = sounds.shape[1] // HOP
        found = torch.stft(
            sounds.float(), _FFT, HOP, window=self.window, center=True, return_complex=True
        ).abs()
        bands = torch.log((self.filters @ found).clamp(min=_QUIETEST))
        bands = pad(bands, (0, -bands.shape[2] % _FRAMES_AT_ONCE))
        return _pitches(self.network(bands)[:, :frames])


def load_rmvpe(file: Path, device: str) -> Rmvpe:
    """Read the network. Raise UnusableModel with the fault of its file."""
    rmvpe = Rmvpe()
    fill(rmvpe.network, read_tensors(file), file.name)
    rmvpe.eval().requires_grad_(False).to(device)
    return rmvpe


def _pitches(likely: Any) -> Any:
    """Return the pitch by likelihoods (rows, frames, 360): the mean around the likeliest one."""
    best, center = likely.max(dim=2)
    cents = torch.arange(_PITCHES, device=likely.device) * _CENTS_A_PITCH + _LEAST_CENTS
    near = (torch.arange(_PITCHES, device=likely.device) - center[..., None]).abs() <= _AROUND
    weights = likely * near
    mean = (weights * cents).sum(2) / weights.sum(2).clamp(min=_QUIETEST)
    return torch.where(best > _UNVOICED, _ZERO_CENTS_HZ * torch.exp2(mean / 1200.0), 0.0)


def _mel_filters() -> Any:
    def mel(hz: Any) -> Any:
        return 2595.0 * np.log10(1.0 + np.asarray(hz) / 700.0)

    edges = 700.0 * (10.0 ** (np.linspace(mel(_LEAST_HZ), mel(_MOST_HZ), _BANDS + 2) / 2595.0) - 1.0)
    hz = np.linspace(0.0, HUBERT_HZ / 2, _FFT // 2 + 1)
    rising = (hz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - hz) / np.diff(edges)[1:, None]
    return np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (edges[2:] - edges[:-2]))[:, None]
