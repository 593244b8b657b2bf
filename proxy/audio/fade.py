"""The step that fades the end of a sound, so that it ends without a click."""

from __future__ import annotations

import math
import struct

from proxy.audio.formats import OUTPUT_RATE_HZ, SAMPLE_BYTES

_FADES_A_SECOND = 200
"""A fade has 5 ms: longer than a click, and shorter than any sound of speech."""

FADE_SAMPLES = OUTPUT_RATE_HZ // _FADES_A_SECOND
"""At the usual rate."""


class FadeOut:
    """A `Step`. It holds the last samples back until the flush, and leads them to zero.

    An engine may stop in the middle of a wave, and so does a stretched sound that is cut to its length. This
    works on few samples, without numpy: see proxy/audio/libraries.py.
    """

    def __init__(self, rate_hz: int = OUTPUT_RATE_HZ) -> None:
        self._bytes = rate_hz // _FADES_A_SECOND * SAMPLE_BYTES
        self._held = b""

    def feed(self, pcm: bytes) -> bytes:
        whole = self._held + pcm
        at = max(0, len(whole) - self._bytes)
        self._held = whole[at:]
        return whole[:at]

    def flush(self) -> bytes:
        held, self._held = self._held, b""
        layout = struct.Struct(f"<{len(held) // SAMPLE_BYTES}h")
        samples = layout.unpack(held)
        step = math.pi / max(1, len(samples))
        return layout.pack(
            *(round(sample * (1 + math.cos(step * at)) / 2) for at, sample in enumerate(samples, 1))
        )
