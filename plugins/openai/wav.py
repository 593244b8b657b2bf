"""Read the samples of a WAV as it streams in. Some servers send WAV although the request said pcm."""

from __future__ import annotations

from speech_engine import EngineFailed

LEAST_HZ, MOST_HZ = 8_000, 192_000

_RIFF_BYTES = 12
_CHUNK_BYTES = 8
_FORMAT_BYTES = 16
_PCM, _EXTENSIBLE = 1, 0xFFFE
_LONGEST_HEADER = 64 * 1024
_UNKNOWN_SIZE = 0x7FFFF000
"""A server that does not know the size yet writes 0, or this number or a larger one."""


class WavBody:
    """The body of a 16-bit mono WAV. `has_begun` is false until the whole header has been read."""

    def __init__(self) -> None:
        self.sample_rate_hz = 0
        self.has_begun = False
        self._header = b""
        self._bytes_left: int | None = None  # None: to the end of the body

    def feed(self, data: bytes) -> bytes:
        """Return the PCM in these bytes. Raises EngineFailed if voxgate cannot play this WAV."""
        if not self.has_begun:
            self._header += data
            if not self._skip_header():
                return b""
            data, self._header = self._header, b""
        if self._bytes_left is not None:
            # A list of tags may follow the samples. If it were played, it would be audible.
            data = data[: self._bytes_left]
            self._bytes_left -= len(data)
        return data

    def _skip_header(self) -> bool:
        offset = _RIFF_BYTES
        while len(self._header) >= offset + _CHUNK_BYTES:
            name, size = self._header[offset : offset + 4], _number(self._header[offset + 4 : offset + 8])
            if name == b"data":
                self._begin_data(offset + _CHUNK_BYTES, size)
                return True
            end = offset + _CHUNK_BYTES + size + size % 2
            if end > _LONGEST_HEADER:
                raise EngineFailed("The provider's WAV has no beginning that makes sense.")
            if len(self._header) < end:
                return False
            if name == b"fmt ":
                self._read_format(self._header[offset + _CHUNK_BYTES : end])
            offset = end
        return False

    def _begin_data(self, offset: int, size: int) -> None:
        if not self.sample_rate_hz:
            raise EngineFailed("The provider's WAV does not say what its samples are.")
        self._header = self._header[offset:]
        self.has_begun = True
        self._bytes_left = None if size == 0 or size >= _UNKNOWN_SIZE else size

    def _read_format(self, chunk: bytes) -> None:
        kind, channels, rate_hz = _number(chunk[:2]), _number(chunk[2:4]), _number(chunk[4:8])
        is_16_bit = len(chunk) >= _FORMAT_BYTES and _number(chunk[14:16]) == 16
        if kind not in (_PCM, _EXTENSIBLE) or channels != 1 or not is_16_bit:
            raise EngineFailed("The provider's WAV is not 16-bit mono.")
        if not LEAST_HZ <= rate_hz <= MOST_HZ:
            raise EngineFailed(f"The provider's WAV has {rate_hz} samples a second.")
        self.sample_rate_hz = rate_hz


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")
