"""The spectra that compare a voice with its recordings: linear ones, and bands of the mel scale."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn.functional import pad

_QUIETEST = 1e-5
_LOG_STEP = np.log(6.4) / 27.0


class SpectrumSizes(NamedTuple):
    """The sizes of the spectra at one rate, as in any training with RVC."""

    rate_hz: int
    fft: int
    bands: int

    @property
    def hop(self) -> int:
        return self.rate_hz // 100


SPECTRA = {
    32_000: SpectrumSizes(32_000, 1024, 80),
    40_000: SpectrumSizes(40_000, 2048, 125),
    48_000: SpectrumSizes(48_000, 2048, 128),
}


def linear(sounds: Any, sizes: SpectrumSizes) -> Any:
    """Return the spectra (rows, frequencies, frames) of sounds (rows, samples), with a frame for each hop."""
    around = (sizes.fft - sizes.hop) // 2
    window = torch.hann_window(sizes.fft, device=sounds.device)
    padded = pad(sounds[:, None], (around, around), mode="reflect")[:, 0]
    found = torch.stft(padded, sizes.fft, sizes.hop, window=window, center=False, return_complex=True)
    return torch.sqrt(found.real**2 + found.imag**2 + 1e-6)


def mel(spectra: Any, sizes: SpectrumSizes) -> Any:
    """Return the bands (rows, bands, frames) of linear spectra, as logarithms."""
    filters = torch.from_numpy(_filters(sizes)).to(spectra.device)
    return torch.log((filters @ spectra).clamp(min=_QUIETEST))


@lru_cache
def _filters(sizes: SpectrumSizes) -> Any:
    """Return triangular filters of one area on Slaney's mel scale: (bands, frequencies)."""
    # Up to 1,000 Hz, which is 15 mels, the scale is linear, and logarithmic above.
    highest = 15 + np.log(sizes.rate_hz / 2000) / _LOG_STEP
    mels = np.linspace(0.0, highest, sizes.bands + 2)
    edges = np.where(mels < 15, mels * (200 / 3), 1000 * np.exp(_LOG_STEP * (mels - 15)))
    hz = np.linspace(0.0, sizes.rate_hz / 2, sizes.fft // 2 + 1)
    rising = (hz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - hz) / np.diff(edges)[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return (triangles * (2.0 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)
