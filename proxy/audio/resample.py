"""The step from an engine's sample rate to that of the answer."""

from __future__ import annotations

import numpy as np

# It ships no types.
import soxr  # type: ignore[import-untyped]
from numpy.typing import NDArray

from proxy.audio.formats import OUTPUT_RATE_HZ
from proxy.audio.steps import SoundFailed

_PEAK = np.float32(32767)


class Resample:
    """A `Step`. After the flush, n samples have become n x target / source, rounded.

    It works on floats: soxr adds dither to 16-bit samples, and silence would not stay silent. To a lower rate
    it also filters out what that rate cannot have.
    """

    def __init__(self, source_rate_hz: int, target_rate_hz: int = OUTPUT_RATE_HZ) -> None:
        self._stream = soxr.ResampleStream(source_rate_hz, target_rate_hz, 1, dtype="float32", quality="HQ")

    def feed(self, pcm: bytes) -> bytes:
        return self._resampled(pcm, last=False)

    def flush(self) -> bytes:
        return self._resampled(b"", last=True)

    def _resampled(self, pcm: bytes, *, last: bool) -> bytes:
        try:
            floats = self._stream.resample_chunk(np.frombuffer(pcm, "<i2").astype(np.float32), last=last)
        except RuntimeError as error:
            raise SoundFailed(f"resampling failed: {error}") from error
        return _pcm(floats)


def _pcm(floats: NDArray[np.float32]) -> bytes:
    # A loud sound overshoots between its samples. Without the clip, listeners would hear a crack.
    return np.clip(np.rint(floats), -_PEAK, _PEAK).astype("<i2").tobytes()
