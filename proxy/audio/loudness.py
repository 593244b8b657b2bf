"""A gain for an answer's sound."""

from __future__ import annotations

import numpy as np

from proxy.audio.formats import OUTPUT_RATE_HZ
from speech_engine.levels import factor_of
from speech_engine.loudness import Limiter, Samples

_FULL_SCALE = 32768.0


class Gain:
    """A `Step` that makes sound louder or softer, and limits its peaks."""

    def __init__(self, decibels: float, rate_hz: int = OUTPUT_RATE_HZ) -> None:
        self._factor = factor_of(decibels) / _FULL_SCALE
        self._limiter = Limiter(rate_hz)

    def feed(self, pcm: bytes) -> bytes:
        return _as_pcm(self._limiter.feed(np.frombuffer(pcm, "<i2") * self._factor))

    def flush(self) -> bytes:
        return _as_pcm(self._limiter.flush())


def _as_pcm(samples: Samples) -> bytes:
    pcm: bytes = np.rint(samples * (_FULL_SCALE - 1)).astype("<i2").tobytes()
    return pcm
