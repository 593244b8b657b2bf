"""What libav is handed: our PCM as its frames, and something to write into."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np

from proxy.audio.formats import OUTPUT_RATE_HZ


def audio_frame(pcm: bytes, position: int = 0) -> av.AudioFrame:
    """One frame of 24 kHz mono; `position` is its first sample's place in the stream."""
    samples = np.frombuffer(pcm, "<i2").astype(np.int16, copy=False)
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = OUTPUT_RATE_HZ
    frame.time_base = Fraction(1, OUTPUT_RATE_HZ)
    frame.pts = position
    return frame


class Sink:
    """What a muxer writes into; it can only be written to, as a socket."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, data: bytes) -> int:
        self._held += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._held)
        self._held.clear()
        return taken
