"""Where the sound of a part begins and ends, and where it is silent."""

from __future__ import annotations

import numpy as np

from proxy.audio.fitting import Resample
from proxy.features.heard.lengths import SoundFacts
from speech_engine.hearing import HEARING_HZ

_BLOCK_SAMPLES = HEARING_HZ // 100
_LOUD_PERCENTILE = 95
_QUIET_SHARE = 0.01
"""The level of silence, as a part of the level of loud blocks: 40 dB below it."""
_LEAST_LEVEL = 5.0
_LEAST_SILENCE_BLOCKS = 10
"""Shorter silences, of fewer blocks, are inside of words."""


def read_sound(pcm: bytes, rate_hz: int) -> SoundFacts:
    """Read 16-bit mono PCM, in a thread. Raises SoundFailed."""
    whole = pcm
    if rate_hz != HEARING_HZ:
        resample = Resample(rate_hz, HEARING_HZ)
        whole = resample.feed(pcm) + resample.flush()
    samples = np.frombuffer(whole[: len(whole) // 2 * 2], "<i2").astype(np.float32)
    blocks = samples[: len(samples) // _BLOCK_SAMPLES * _BLOCK_SAMPLES].reshape(-1, _BLOCK_SAMPLES)
    levels = np.sqrt(np.mean(blocks**2, axis=1)) if len(blocks) else np.zeros(0, np.float32)
    threshold = (
        max(_LEAST_LEVEL, _QUIET_SHARE * float(np.percentile(levels, _LOUD_PERCENTILE)))
        if len(levels)
        else 0.0
    )
    sounding = np.flatnonzero(levels > threshold)
    if not len(sounding):
        return SoundFacts(whole, 0.0, 0.0, ())
    gaps = np.flatnonzero(np.diff(sounding) > _LEAST_SILENCE_BLOCKS)
    silences = [((sounding[gap] + 1) / 100, sounding[gap + 1] / 100) for gap in gaps]
    placed = tuple([(float(begin), float(end)) for begin, end in silences])
    return SoundFacts(whole, float(sounding[0]) / 100, float(sounding[-1] + 1) / 100, placed)
