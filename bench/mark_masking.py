"""How far the mark lies below what the sound hides: a model of the ear apart from the one that the mark uses.

Schroeder's spreading over Bark bands, with Johnston's offsets: a tone hides noise less well than noise does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tests.plugins.spread.clips import RATE_HZ, Clip

_LENGTH = 1024
_QUIET_DB = 55
"""What is so far below the loudest frame is not judged."""


def margins_db(clip: Clip, marked: Clip) -> NDArray[np.float64]:
    """Return the margin of each frame and Bark band: the masking threshold over the mark's energy."""
    sound = _power(clip.astype(np.float64))
    added = _power(marked.astype(np.float64) - clip)
    hz = np.arange(sound.shape[1]) * RATE_HZ / _LENGTH
    bark = (13 * np.arctan(0.00076 * hz) + 3.5 * np.arctan((hz / 7500) ** 2)).astype(int)
    bands = bark.max() + 1
    of_band = np.eye(bands)[bark]
    energy, noise = sound @ of_band, added @ of_band
    loudest = energy.sum(axis=1).max()
    kept = energy.sum(axis=1) > loudest * 10 ** (-_QUIET_DB / 10)
    hidden = energy[kept] @ _spreading(bands) * 10 ** (-_offsets(sound[kept], bands) / 10)
    # Rounding to 16 bits is no mark: what is below it is not judged.
    rounding = _LENGTH / 24 * of_band.sum(axis=0)
    judged = noise[kept] > 4 * rounding
    return np.asarray(10 * np.log10((hidden[judged] + 1) / noise[kept][judged]))


def _power(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    frames = np.lib.stride_tricks.sliding_window_view(samples, _LENGTH)[:: _LENGTH // 2]
    return np.asarray(np.abs(np.fft.rfft(frames * np.hanning(_LENGTH), axis=1)) ** 2)


def _spreading(bands: int) -> NDArray[np.float64]:
    above = np.arange(bands)[None, :] - np.arange(bands)[:, None] + 0.474
    spread = 10 ** ((15.81 + 7.5 * above - 17.5 * np.sqrt(1 + above**2)) / 10)
    return np.asarray(spread / spread.sum(axis=0))


def _offsets(power: NDArray[np.float64], bands: int) -> NDArray[np.float64]:
    """Return how far below the spread energy the threshold lies, in dB, by how tonal a frame is."""
    flat_db = 10 * (np.mean(np.log10(power + 1e-9), axis=1) - np.log10(np.mean(power, axis=1)))
    tonal = np.clip(flat_db / -60, 0, 1)[:, None]
    return np.asarray(tonal * (14.5 + np.arange(bands)) + (1 - tonal) * 5.5)
