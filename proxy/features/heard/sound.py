"""What the sound of a part tells without its words: where it begins and ends, and where it is silent."""

from __future__ import annotations

import numpy as np

from proxy.audio.fitting import Resample
from proxy.features.heard.lengths import SoundFacts
from speech_engine.hearing import HEARING_HZ

_BLOCK = HEARING_HZ // 100
_LOUD = 95
_QUIET = 0.01
"""40 dB below the loud parts."""
_LEAST_LEVEL = 5.0
_LEAST_SILENCE = 10
"""In blocks: shorter silences are inside of words."""


def read_sound(pcm: bytes, rate_hz: int) -> SoundFacts:
    """Read 16-bit mono PCM, in a thread. Raises SoundFailed."""
    whole = pcm
    if rate_hz != HEARING_HZ:
        resample = Resample(rate_hz, HEARING_HZ)
        whole = resample.feed(pcm) + resample.flush()
    samples = np.frombuffer(whole[: len(whole) // 2 * 2], "<i2").astype(np.float32)
    blocks = samples[: len(samples) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    levels = np.sqrt(np.mean(blocks**2, axis=1)) if len(blocks) else np.zeros(0, np.float32)
    loud = max(_LEAST_LEVEL, _QUIET * float(np.percentile(levels, _LOUD))) if len(levels) else 0.0
    sounding = np.flatnonzero(levels > loud)
    if not len(sounding):
        return SoundFacts(whole, 0.0, 0.0, ())
    gaps = np.flatnonzero(np.diff(sounding) > _LEAST_SILENCE)
    silences = [((sounding[gap] + 1) / 100, sounding[gap + 1] / 100) for gap in gaps]
    placed = tuple([(float(begin), float(end)) for begin, end in silences])
    return SoundFacts(whole, float(sounding[0]) / 100, float(sounding[-1] + 1) / 100, placed)
