"""The loudness of speech by ITU-R BS.1770, and a limit for its peaks."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speech_engine.levels import MOST_PEAK, OFFSET_DB, SILENCE_POWER, STEP_S

Samples = NDArray[np.floating[Any]]

_STEPS_A_BLOCK = 4
_RELATIVE_GATE = 0.1
"""Pauses, ten decibels below the mean of the sound, do not count."""

_SAMPLE_BYTES = 2
_FULL_SCALE = 32768.0

_IMPULSE_RESPONSE_S = 0.1
"""The length of the filters' impulse response. After it, the response is 100 dB lower."""

_LOOK_AHEAD_S, _RELEASE_S = 0.005, 0.08
_REACH = 6
"""The samples on each side from which the sound between two samples is interpolated."""
_QUARTER_FILTERS = tuple(
    np.sinc(_offsets) * np.cos(np.pi / 2 * _offsets / (_REACH + 0.5)) ** 2
    for _offsets in (np.arange(1 - _REACH, _REACH + 1) - part / 4 for part in (1, 2, 3))
)
"""The filters for the quarters between two samples."""
_SAFE_PEAK = MOST_PEAK / math.sqrt(2)
"""With lower samples, speech has no peak between them that is too high."""
_INAUDIBLE = 1e-4


def lufs(powers: list[float]) -> float | None:
    """Return the gated loudness of steps of sound, in order, or None if all is silence."""
    steps = np.asarray(powers)
    if len(steps) == 0:
        return None
    width = min(_STEPS_A_BLOCK, len(steps))
    blocks = np.convolve(steps, np.full(width, 1 / width), "valid")
    loud = blocks[blocks > SILENCE_POWER]
    if len(loud) == 0:
        return None
    above_gate = loud[loud > np.mean(loud) * _RELATIVE_GATE]
    return OFFSET_DB + 10 * math.log10(float(np.mean(above_gate)))


class Meter:
    """Measures loudness with the K-weighting filter. `powers` gets one value for each tenth of a second."""

    def __init__(self, sample_rate_hz: int = 24_000, powers: list[float] | None = None) -> None:
        self.powers: list[float] = [] if powers is None else powers
        self._step = round(STEP_S * sample_rate_hz)
        self._reach = round(_IMPULSE_RESPONSE_S * sample_rate_hz) - 1
        self._weighting = _weighting(sample_rate_hz)
        self._past: Samples = np.zeros(self._reach)
        self._incomplete_step = b""

    def feed(self, pcm: bytes) -> None:
        waiting = self._incomplete_step + pcm
        size = self._step * _SAMPLE_BYTES
        for at in range(0, len(waiting) - size + 1, size):
            self._add_step(waiting[at : at + size])
        self._incomplete_step = waiting[len(waiting) // size * size :]

    def _add_step(self, pcm: bytes) -> None:
        samples = np.frombuffer(pcm, "<i2") / _FULL_SCALE
        reached = np.concatenate((self._past, samples))
        self._past = reached[-self._reach :]
        size = 2 * (len(self._weighting) - 1)
        weighted = np.fft.irfft(np.fft.rfft(reached, size) * self._weighting, size)
        centre = weighted[self._reach : self._reach + len(samples)]
        self.powers.append(float(np.mean(np.square(centre))))


class Limiter:
    """Keeps the peaks of a sound below `MOST_PEAK`, between its samples, too.

    Before a peak the sound gets softer within 5 ms, and afterwards louder within 80 ms. What has no such peak
    stays as it is. It holds 5 ms back until `flush`, which gives them once.
    """

    def __init__(self, rate_hz: int) -> None:
        self._ahead = round(_LOOK_AHEAD_S * rate_hz)
        self._rate_hz = rate_hz
        self._decay = math.exp(-1 / (_RELEASE_S * rate_hz))
        # It begins with samples that were given already: the interpolation needs them.
        self._held: Samples = np.zeros(_REACH)
        self._curve: Samples = np.zeros(self._ahead)
        self._is_new = True

    def feed(self, samples: Samples) -> Samples:
        whole = np.concatenate((self._held, samples))
        count = max(0, len(whole) - self._ahead - 2 * _REACH)
        self._held = whole[count:]
        sound = whole[_REACH : _REACH + count]
        is_quiet = self._curve[-1] < _INAUDIBLE and np.max(np.abs(whole), initial=0.0) < _SAFE_PEAK
        if not count:
            return sound
        made = sound if is_quiet else sound * (1 - self._reductions(whole, count))
        self._is_new = False
        return made

    def flush(self) -> Samples:
        rest = self.feed(np.zeros(self._ahead + _REACH))
        self._held = self._held[-_REACH:]
        return rest

    def _reductions(self, whole: Samples, count: int) -> Samples:
        """Return by how much each sample gets softer, as a part of it."""
        needed = 1 - MOST_PEAK / np.maximum(true_peaks(whole), MOST_PEAK)
        coming = np.lib.stride_tricks.sliding_window_view(needed, self._ahead + 1).max(axis=1)
        # A sound that begins with a peak is softer from its first sample on.
        curve = [np.full(self._ahead, coming[0]) if self._is_new else self._curve]
        for at in range(0, count, self._rate_hz):
            part = coming[at : at + self._rate_hz]
            decays = self._decay ** np.arange(1, len(part) + 1)
            curve.append(np.maximum.accumulate(np.append(curve[-1][-1], part / decays))[1:] * decays)
        joined = np.concatenate(curve)
        self._curve = joined[-self._ahead :]
        sums = np.cumsum(np.append(0.0, joined))
        width = self._ahead + 1
        return np.asarray((sums[width:] - sums[:-width]) / width)


def true_peaks(samples: Samples) -> Samples:
    """Return the peaks at the samples and between them, of all but the first and the last six."""
    gaps = np.max([np.abs(np.convolve(samples, each, "valid")) for each in _QUARTER_FILTERS], axis=0)
    return np.asarray(np.maximum(np.abs(samples[_REACH:-_REACH]), np.maximum(gaps[:-1], gaps[1:])))


def loudness_of(sound: Samples, rate_hz: int) -> float | None:
    """Return the loudness of a whole sound, or None if it is silent or shorter than a step."""
    meter = Meter(rate_hz)
    meter.feed((np.clip(sound, -1.0, 1.0) * (_FULL_SCALE - 1)).astype("<i2").tobytes())
    return lufs(meter.powers)


@lru_cache(maxsize=8)
def _weighting(sample_rate_hz: int) -> NDArray[np.complexfloating[Any, Any]]:
    """Return the standard's two filters as one spectrum, for any rate. The standard defines them only for
    48 kHz, so they are built from the underlying analogue filters."""
    needed = 2 * round(_IMPULSE_RESPONSE_S * sample_rate_hz) + round(STEP_S * sample_rate_hz)
    size = 1 << (needed - 1).bit_length()
    delay = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
    # The first one is for the effect of a head on sound: 4 dB more above about 1.7 kHz.
    corner_hz, gain_db, q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
    k = math.tan(math.pi * corner_hz / sample_rate_hz)
    high = 10 ** (gain_db / 20)
    band = high**0.4996667741545416
    head = (high + band * k / q + k * k, 2 * (k * k - high), high - band * k / q + k * k)
    above = np.polyval(head[::-1], delay) / np.polyval(_poles(k, q), delay)
    # The second one reduces deep sounds. `OFFSET_DB` compensates the standard's gain.
    corner_hz, q = 38.13547087602444, 0.5003270373238773
    k = math.tan(math.pi * corner_hz / sample_rate_hz)
    poles = _poles(k, q)
    return np.asarray(above * np.polyval((1.0, -2.0, 1.0), delay) * poles[-1] / np.polyval(poles, delay))


def _poles(k: float, q: float) -> tuple[float, float, float]:
    return 1 - k / q + k * k, 2 * (k * k - 1), 1 + k / q + k * k
