"""A resampler without delay: each sound has the same time in the input and the output."""

from __future__ import annotations

from functools import lru_cache
from math import ceil, gcd
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_CROSSINGS: Final = 16
"""The half width of the filter, in samples of the lower rate: a millisecond or two."""
_PASSED: Final = 0.92
"""The share of the band that passes."""


class Resampler:
    def __init__(self, from_hz: int, to_hz: int) -> None:
        divisor = gcd(from_hz, to_hz)
        self._up, self._down = to_hz // divisor, from_hz // divisor
        self.half = 0 if from_hz == to_hz else ceil(_CROSSINGS * from_hz / min(from_hz, to_hz))
        """The later samples of the input that an output sample needs."""
        self._filters = _filters(from_hz, to_hz, self.half) if self.half else None
        self._tail = np.zeros(max(0, self.half - 1), np.float32)
        self._begin = -len(self._tail)
        """The number of the tail's first sample, counted from the beginning of the input."""
        self._next = 0
        """The number of the next sample of the output."""

    def feed(self, samples: Floats) -> Floats:
        """Return the output that is known now."""
        if self._filters is None:
            return samples
        sound = np.concatenate([self._tail, samples])
        end = self._begin + len(sound)
        stop = max(self._next, -(-(end - self.half) * self._up // self._down))  # rounded upwards
        places = np.arange(self._next, stop) * self._down
        first = places // self._up - self.half + 1
        width = 2 * self.half
        if len(places):
            windows = sliding_window_view(sound, width)[first - self._begin]
            made = np.einsum("ij,ij->i", windows, self._filters[places % self._up])
        else:
            made = np.zeros(0, np.float32)
        self._next = stop
        still_needed = stop * self._down // self._up - self.half + 1
        self._tail = sound[max(0, still_needed - self._begin) :]
        self._begin = end - len(self._tail)
        return np.asarray(made, np.float32)


@lru_cache(8)
def _filters(from_hz: int, to_hz: int, half: int) -> Floats:
    up = to_hz // gcd(from_hz, to_hz)
    places = np.arange(up)[:, None] / up
    distances = np.arange(-half + 1, half + 1)[None, :] - places
    band = _PASSED * min(from_hz, to_hz) / from_hz
    window = np.cos(np.pi / 2 * np.clip(distances / half, -1, 1)) ** 2
    filters = np.sinc(band * distances) * window
    return np.asarray(filters / filters.sum(axis=1, keepdims=True), np.float32)


def resampled(samples: Floats, from_hz: int, to_hz: int) -> Floats:
    resampler = Resampler(from_hz, to_hz)
    count = len(samples) * to_hz // from_hz
    made = [resampler.feed(samples), resampler.feed(np.zeros(resampler.half, np.float32))]
    return np.concatenate(made)[:count]  # `feed` rounds upwards
