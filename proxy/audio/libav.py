"""The objects that libav works with: frames of our PCM, and a sink that it writes into."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np


def audio_frame(pcm: bytes, rate_hz: int, position: int = 0) -> av.AudioFrame:
    """Make one mono frame. `position` is the place of its first sample in the stream."""
    samples = np.frombuffer(pcm, "<i2").astype(np.int16, copy=False)
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = rate_hz
    frame.time_base = Fraction(1, rate_hz)
    frame.pts = position
    return frame


class Sink:
    """The file that a muxer writes into. Like a socket, it cannot seek."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, data: bytes) -> int:
        self._held += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._held)
        self._held.clear()
        return taken
