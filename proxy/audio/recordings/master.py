"""The master of a recording: a mono WAV of 16 or 24 bits, at the rate of the recording up to 48 kHz.

It is a WAV and not a FLAC, although that would be half the size. A few lines here write it from bare samples
and read it. So no library ever parses bytes that a decoder made of an untrusted file, and the server needs no
second process when an engine asks for a sample. Every provider and every player accepts it.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from proxy.audio.formats import wav_header
from proxy.audio.recordings.recording import UnusableRecording

Floats = NDArray[np.float32]

_HEADER_BYTES = len(wav_header(0))
_HEADER = struct.Struct("<24xI4xHH4xI")  # the rate, bytes of a sample, bits of it, bytes of all samples


def make_master(pcm: bytes, rate_hz: int, sample_bytes: int) -> bytes:
    """Return little-endian mono samples of 2 or 3 bytes as a master."""
    return wav_header(len(pcm) // sample_bytes, rate_hz, sample_bytes) + pcm


class Master:
    """The samples of a master, which are read in ranges: all of them as floats would be 60 MB."""

    def __init__(self, master: bytes) -> None:
        """Raises UnusableRecording unless `make_master` made the bytes."""
        if len(master) < _HEADER_BYTES:
            raise UnusableRecording.of("lost")
        rate_hz, sample_bytes, bits, data_bytes = _HEADER.unpack_from(master)
        if bits not in (16, 24) or len(master) != _HEADER_BYTES + data_bytes:
            raise UnusableRecording.of("lost")
        self.rate_hz: int = rate_hz
        self.samples: int = data_bytes // sample_bytes
        self._sample_bytes: int = sample_bytes
        self._master = master

    @property
    def seconds(self) -> float:
        return self.samples / self.rate_hz

    def read(self, start: int, end: int) -> Floats:
        """Return the samples from `start` to before `end`, -1 to 1."""
        start, end = max(0, start), min(self.samples, end)
        at = _HEADER_BYTES + start * self._sample_bytes
        raw = np.frombuffer(self._master, np.uint8, max(0, end - start) * self._sample_bytes, at)
        if self._sample_bytes == 2:
            return raw.view("<i2").astype(np.float32) / np.float32(2**15)
        wide = np.zeros((len(raw) // 3, 4), np.uint8)
        wide[:, 1:] = raw.reshape(-1, 3)  # the upper 24 of 32 bits
        return wide.view("<i4").reshape(-1).astype(np.float32) / np.float32(2**31)
