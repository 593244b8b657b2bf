"""The whole of a recording as 16-bit PCM at an engine's rate: nothing is cut, and its level stays."""

from __future__ import annotations

import numpy as np

from proxy.audio.recordings.master import Master
from proxy.audio.resample import Resample

_PIECE_S = 5
_SILENT = 10 ** (-55 / 20) * 2**15


def whole_sound(master: bytes, rate_hz: int) -> bytes:
    """Return all of a master. It takes milliseconds for each second of sound: call it in a thread."""
    whole = Master(master)
    resample = Resample(whole.rate_hz, rate_hz)
    piece = _PIECE_S * whole.rate_hz
    made = [resample.feed(_pcm(whole, start, start + piece)) for start in range(0, whole.samples, piece)]
    return b"".join([*made, resample.flush()])


def is_silent(pcm: bytes) -> bool:
    samples = np.frombuffer(pcm, "<i2")
    return not len(samples) or max(int(samples.max()), -int(samples.min())) < _SILENT


def _pcm(whole: Master, start: int, end: int) -> bytes:
    samples = whole.read(start, end) * np.float32(32767)
    return bytes(np.clip(np.rint(samples), -32767, 32767).astype("<i2").data)
