"""The mixing of a dub: the bounds of its sounds, and the softer original under speech."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.floating[Any]]

DUCKED_DB = -14.0
_FADE_DOWN_S, _FADE_UP_S, _LONG_PAUSE_S = 0.15, 0.5, 1.2
_SILENCE_DB = -34.0
_FULL_SCALE = 32768.0


def sound_bounds(pcm: bytes, rate_hz: int) -> tuple[int, int]:
    """Return the first sample of a clip's sound and the one after its last. Its silent ends are 34 dB softer
    than its loudest moment. For a clip without sound, both are 0."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float64)
    width = max(1, rate_hz // 100)
    levels = np.sqrt(np.add.reduceat(np.square(samples), np.arange(0, max(1, len(samples)), width)) / width)
    loud = np.flatnonzero(levels > max(1.0, float(levels.max()) * 10 ** (_SILENCE_DB / 20)))
    if not len(loud):
        return 0, 0
    return int(loud[0]) * width, min(len(samples), (int(loud[-1]) + 1) * width)


def speech_runs(spoken: Sequence[tuple[int, int]], rate_hz: int) -> list[tuple[int, int]]:
    """Return where speech goes on without a long pause, from the places of the lines."""
    found = list[tuple[int, int]]()
    for start, end in sorted(spoken):
        if found and start - found[-1][1] < _LONG_PAUSE_S * rate_hz:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return found


class Ducking:
    """The gain of the original at each sample: planned from the runs of speech, not following its
    sound."""

    def __init__(self, spoken: Sequence[tuple[int, int]], rate_hz: int) -> None:
        places, gains, ducked_gain = [0.0], [1.0], 10 ** (DUCKED_DB / 20)
        for start, end in speech_runs(spoken, rate_hz):
            places += [start - _FADE_DOWN_S * rate_hz, start, end, end + _FADE_UP_S * rate_hz]
            gains += [1.0, ducked_gain, ducked_gain, 1.0]
        # Speech may begin with the first sample.
        places[0] = min(places) - 1
        self._places, self._gains = np.array(places), np.array(gains)

    def gains(self, first: int, count: int) -> Numbers:
        begin, end = np.searchsorted(self._places, (first, first + count))
        near = slice(begin - 1, end + 1)
        return np.asarray(np.interp(np.arange(first, first + count), self._places[near], self._gains[near]))


def to_floats(pcm: bytes) -> Numbers:
    return np.frombuffer(pcm, "<i2") / _FULL_SCALE


def to_pcm(samples: NDArray[Any]) -> bytes:
    """Return PCM of samples whose full scale is 1."""
    return bytes(np.clip(np.rint(samples * _FULL_SCALE), -32768, 32767).astype("<i2").data)
