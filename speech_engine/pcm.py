"""PCM from a provider, cut as `Audio` must be: whole samples, 100 ms at most, no more than the job allows."""

from __future__ import annotations

from collections.abc import Iterator

_SAMPLE_BYTES = 2


class PcmPieces:
    """One for each job. What is held back is half a sample at most, so that nothing waits."""

    def __init__(self, sample_rate_hz: int, most_samples: int | None = None) -> None:
        self._piece_bytes = _SAMPLE_BYTES * (sample_rate_hz // 10)
        self._left = None if most_samples is None else _SAMPLE_BYTES * most_samples
        self._half = b""

    def __repr__(self) -> str:
        return f"<PcmPieces of {self._piece_bytes} bytes>"

    @property
    def is_full(self) -> bool:
        """The job's most samples are out: the rest need not even be read."""
        return self._left == 0

    def begin(self) -> None:
        """Another stream follows: half a sample at the end of the last one is nobody's."""
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
