"""Cuts a provider's PCM for `Audio`: whole samples, 100 ms at most, no more than the job allows."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

_SAMPLE_BYTES = 2


class PcmPieces:
    """The pieces of one job. At most half a sample is held back, so that no audio waits."""

    def __init__(self, sample_rate_hz: int, most_samples: int | None = None) -> None:
        self._piece_bytes = _SAMPLE_BYTES * (sample_rate_hz // 10)
        self._left = None if most_samples is None else _SAMPLE_BYTES * most_samples
        self._half = b""

    def __repr__(self) -> str:
        return f"<PcmPieces of {self._piece_bytes} bytes>"

    @property
    def is_full(self) -> bool:
        """Whether the job's limit of samples is reached: the rest need not be read."""
        return self._left == 0

    def begin(self) -> None:
        """Starts another stream: half a sample at the end of the last one is dropped."""
        self._half = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        data = self._half + data
        whole = len(data) - len(data) % _SAMPLE_BYTES
        self._half = data[whole:]
        end = whole if self._left is None else min(whole, self._left)
        if self._left is not None:
            self._left -= end
        for start in range(0, end, self._piece_bytes):
            yield data[start : min(start + self._piece_bytes, end)]


def nearest_samples(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    """Return the PCM at another rate, made of the samples nearest in time: for tests, not for listeners."""
    if from_hz == to_hz:
        return pcm
    samples = array("h", pcm)
    count = len(samples) * to_hz // from_hz
    return array("h", (samples[number * from_hz // to_hz] for number in range(count))).tobytes()
