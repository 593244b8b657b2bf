"""The loudness of speech by ITU-R BS.1770, and a gain without clipping."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy.audio.formats import OFFSET_DB, OUTPUT_RATE_HZ, SAMPLE_BYTES, SILENCE_POWER, STEP_S

Samples = NDArray[np.floating[Any]]

_STEPS_A_BLOCK = 4
_RELATIVE_GATE = 0.1
"""Pauses, ten decibels below the mean of the sound, do not count."""

_FULL_SCALE = 32768.0

_IMPULSE_RESPONSE_S = 0.1
"""The length of the filters' impulse response. After it, the response is 100 dB lower."""

_KNEE_AMPLITUDE = 0.8
"""Samples above this part of full scale are bent, so that none is clipped."""


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

    def __init__(self, sample_rate_hz: int = OUTPUT_RATE_HZ, powers: list[float] | None = None) -> None:
        self.powers: list[float] = [] if powers is None else powers
        self._step = round(STEP_S * sample_rate_hz)
        self._reach = round(_IMPULSE_RESPONSE_S * sample_rate_hz) - 1
        self._weighting = _weighting(sample_rate_hz)
        self._before: Samples = np.zeros(self._reach)
        self._waiting = b""

    def feed(self, pcm: bytes) -> None:
        waiting = self._waiting + pcm
        size = self._step * SAMPLE_BYTES
        for at in range(0, len(waiting) - size + 1, size):
            self._weigh(waiting[at : at + size])
        self._waiting = waiting[len(waiting) // size * size :]

    def _weigh(self, pcm: bytes) -> None:
        samples = np.frombuffer(pcm, "<i2") / _FULL_SCALE
        reached = np.concatenate((self._before, samples))
        self._before = reached[-self._reach :]
        size = 2 * (len(self._weighting) - 1)
        weighted = np.fft.irfft(np.fft.rfft(reached, size) * self._weighting, size)
        centre = weighted[self._reach : self._reach + len(samples)]
        self.powers.append(float(np.mean(np.square(centre))))


class Gain:
    """A `Step` that makes sound louder or softer. It bends samples that are too loud, and never clips."""

    def __init__(self, decibels: float) -> None:
        self._factor = 10 ** (decibels / 20)

    def feed(self, pcm: bytes) -> bytes:
        samples = np.frombuffer(pcm, "<i2") * (self._factor / _FULL_SCALE)
        sizes = np.abs(samples)
        over = sizes > _KNEE_AMPLITUDE
        if over.any():
            room = 1 - _KNEE_AMPLITUDE
            bent = _KNEE_AMPLITUDE + room * np.tanh((sizes[over] - _KNEE_AMPLITUDE) / room)
            samples[over] = np.copysign(bent, samples[over])
        return np.rint(samples * (_FULL_SCALE - 1)).astype("<i2").tobytes()

    def flush(self) -> bytes:
        return b""


@lru_cache(maxsize=8)
def _weighting(sample_rate_hz: int) -> NDArray[np.complexfloating[Any, Any]]:
    """Return the standard's two filters as one spectrum, for any rate. The standard defines them only for
    48 kHz, so they are built from the underlying analogue filters."""
    observers = round(_IMPULSE_RESPONSE_S * sample_rate_hz)
    click = np.zeros(observers)
    click[0] = 1.0
    answer = _biquad(_biquad(click, *_sample_cache(sample_rate_hz)), *_high_pass(sample_rate_hz))
    needed = 2 * observers + round(STEP_S * sample_rate_hz)
    return np.fft.rfft(answer, 1 << (needed - 1).bit_length())


def _sample_cache(sample_rate_hz: int) -> tuple[Samples, Samples]:
    """Return the filter for the effect of a head on sound: 4 dB more above about 1.7 kHz."""
    corner_hz, gain_db, q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
    k = math.tan(math.pi * corner_hz / sample_rate_hz)
    high = 10 ** (gain_db / 20)
    band = high**0.4996667741545416
    over = np.array([high + band * k / q + k * k, 2 * (k * k - high), high - band * k / q + k * k])
    under = np.array([1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k])
    return over / under[0], under / under[0]


def _high_pass(sample_rate_hz: int) -> tuple[Samples, Samples]:
    """Return the filter that reduces deep sounds. `OFFSET_DB` compensates the standard's gain."""
    corner_hz, q = 38.13547087602444, 0.5003270373238773
    k = math.tan(math.pi * corner_hz / sample_rate_hz)
    under = np.array([1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k])
    return np.array([1.0, -2.0, 1.0]), under / under[0]


def _biquad(samples: Samples, over: Samples, under: Samples) -> Samples:
    """Filter sample by sample. This is slow, so it filters one click only."""
    filtered = np.zeros(len(samples))
    first = second = 0.0
    for at, sample in enumerate(samples):
        filtered[at] = over[0] * sample + first
        first = over[1] * sample - under[1] * filtered[at] + second
        second = over[2] * sample - under[2] * filtered[at]
    return filtered
