"""Where a long recording is cut into stretches that are converted one by one: where it is quiet."""

from __future__ import annotations

import numpy as np

from proxy.speech.speech_request import SOURCE_HZ

LEAST_S, MOST_S = 90, 120
"""A stretch holds an engine's slot for as long as it is converted, and a listener may wait for that."""
KEEPS_BACK_S = 30
"""What is left of a recording behind a cut is at least so long."""
_RUN = SOURCE_HZ // 50
_SAMPLE_BYTES = 2


class Stretches:
    """Cuts a recording that comes in pieces."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def __repr__(self) -> str:
        return f"<Stretches, {len(self._kept)} bytes kept>"

    def feed(self, pcm: bytes) -> list[bytes]:
        """Return the stretches that are whole now."""
        self._kept += pcm
        found = []
        while len(self._kept) >= (MOST_S + KEEPS_BACK_S) * SOURCE_HZ * _SAMPLE_BYTES:
            cut = _quietest(self._kept) * _SAMPLE_BYTES
            found.append(bytes(self._kept[:cut]))
            del self._kept[:cut]
        return found

    def rest(self) -> bytes:
        """Return the last stretch. b"": there was no sound."""
        rest = bytes(self._kept)
        self._kept.clear()
        return rest


def _quietest(pcm: bytearray) -> int:
    """Return the middle of the quietest fiftieth of a second in which a cut may be, as a sample."""
    first = LEAST_S * SOURCE_HZ
    samples = np.frombuffer(pcm, "<i2", (MOST_S - LEAST_S) * SOURCE_HZ, first * _SAMPLE_BYTES)
    runs = samples.reshape(-1, _RUN).astype(np.float64)
    return first + int(np.argmin((runs * runs).mean(axis=1))) * _RUN + _RUN // 2
