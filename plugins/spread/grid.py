"""The grid of tiles that a mark is written on: 20 ms in time and 100 Hz in frequency, at any sample rate.

A frame lasts 20 ms, and one begins every 10 ms. A tile is two frames: the mark raises the first and lowers
the second, or the other way round. Speech changes little in 10 ms, so the difference shows the mark.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

FRAMES_A_SECOND: Final = 100
FRAMES_A_TILE: Final = 2
PERIOD_TILES: Final = 1024
"""After 20 seconds the mark repeats. Each answer begins at a random place, so few answers show a sign twice:
anyone with the signs could forge or remove a mark. Any part of a clip has enough signs to be found."""

BIN_HZ: Final = 50
_BAND_BINS: Final = 2
_LOWEST_BIN, _HIGHEST_BIN = 6, 160
BANDS: Final = (_HIGHEST_BIN - _LOWEST_BIN) // _BAND_BINS
"""From 300 Hz to 8 kHz. Telephones and old formats keep half of them."""


_ROWS_AT_ONCE: Final = 2048

Memo = dict[float, list[NDArray[np.complex64]]]
"""The spectra of a recording's frames, by the samples that are skipped before them."""


class Grid:
    """The tiles of a sound at one rate, which may be a fraction, as for a sound that was sped up a little."""

    def __init__(self, rate_hz: float, pitch: float = 1.0, *, is_quick: bool = False) -> None:
        """Each tone is `pitch` times as high as by the rate. A grid that `is_quick` has frames that are up to
        1 % shorter, of a length with a fast transform."""
        self.rate_hz = rate_hz
        length = int(rate_hz * 2 / FRAMES_A_SECOND)
        self.length = _quick_length(length) if is_quick else length
        """The samples of a frame."""
        bin_hz = rate_hz / self.length / pitch
        fits = int(rate_hz / pitch / 2 - BIN_HZ) // (BIN_HZ * _BAND_BINS) - _LOWEST_BIN // _BAND_BINS
        self.bands = min(BANDS, fits)
        edges = (_LOWEST_BIN + _BAND_BINS * np.arange(self.bands + 1)) * BIN_HZ
        self.edges: NDArray[np.intp] = np.rint(edges / bin_hz).astype(np.intp)
        """The first bin of each band, and the end of the last band."""
        self.band_of_bin: NDArray[np.intp] = np.repeat(np.arange(self.bands), np.diff(self.edges))
        self._samples = np.arange(self.length)
        self._has_pairs = bool((np.diff(self.edges) == _BAND_BINS).all())
        self.hop: int | None = self.length // 2 if rate_hz % FRAMES_A_SECOND == 0 else None
        """The samples from one frame to the next, or None if their number changes."""
        self.window: Floats = np.sin(np.pi * (np.arange(self.length) + 0.5) / self.length).astype(np.float32)

    def begin(self, frame: int) -> int:
        return int(frame * (self.rate_hz / FRAMES_A_SECOND))

    def begins(self, first: int, count: int) -> NDArray[np.intp]:
        return (np.arange(first, first + count) * (self.rate_hz / FRAMES_A_SECOND)).astype(np.intp)

    def spectra(self, samples: Floats, begins: NDArray[np.intp]) -> NDArray[np.complex64]:
        frames = samples[begins[:, None] + self._samples] * self.window
        return np.fft.rfft(frames, axis=1).astype(np.complex64, copy=False)

    def energies(self, spectra: NDArray[np.complex64]) -> Floats:
        used = spectra[:, self.edges[0] : self.edges[-1]]
        power = used.real**2 + used.imag**2
        if self._has_pairs:
            return np.asarray(power[:, ::2] + power[:, 1::2])
        return np.add.reduceat(power, self.edges[:-1] - self.edges[0], axis=1)

    def all_energies(self, samples: Floats, skipped: float, memo: Memo | None = None) -> Floats:
        """Return the energies of all frames of a recording, without its first `skipped` samples.

        `memo` caches the spectra for grids of the same rate, which differ only in pitch.
        """
        if memo is None:
            spectra = self._all_spectra(samples, skipped)
        else:
            if skipped not in memo:
                memo[skipped] = list(self._all_spectra(samples, skipped))
            spectra = iter(memo[skipped])
        rows = map(self.energies, spectra)
        return np.concatenate([np.zeros((0, self.bands), np.float32), *rows])

    def _all_spectra(self, samples: Floats, skipped: float) -> Iterator[NDArray[np.complex64]]:
        room = len(samples) - self.length - skipped
        count = max(0, int(room * FRAMES_A_SECOND / self.rate_hz) + 1) if room >= 0 else 0
        begins = self.begins(0, count) + int(skipped)
        for at in range(0, count, _ROWS_AT_ONCE):
            yield self.spectra(samples, begins[at : at + _ROWS_AT_ONCE])


def _quick_length(most: int) -> int:
    rest = most
    for prime in (2, 3, 5, 7):
        while rest % prime == 0:
            rest //= prime
    return most if rest == 1 else _quick_length(most - 1)
